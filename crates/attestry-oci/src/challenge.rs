//! `WWW-Authenticate` challenges (RFC 9110 §11.6.1), as registries send them.
//!
//! Values are quoted strings that contain commas (`scope="repository:app:pull,push"`), and one header can carry
//! several challenges, so splitting at commas would misread both.

/// One challenge: a scheme in lower case and its parameters, names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    parameters: Vec<(String, String)>,
}

/// No registry sends more; the rest of a longer header is not looked at.
const MAX_HEADER: usize = 8 << 10;

impl Challenge {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads one header value. What does not fit the grammar ends the reading; what came before it counts.
    pub(crate) fn parse_all(header: &str) -> Vec<Challenge> {
        let mut cut = header.len().min(MAX_HEADER);
        while !header.is_char_boundary(cut) {
            cut -= 1;
        }
        let mut rest = Rest(&header[..cut]);
        let mut challenges: Vec<Challenge> = Vec::new();
        loop {
            rest.skip(|c| c == ',' || c.is_ascii_whitespace());
            let word = rest.token();
            if word.is_empty() {
                return challenges;
            }
            rest.skip(|c| c.is_ascii_whitespace());
            // A word with `=` behind it is a parameter of the challenge before, any other word begins a new one.
            match (rest.eat('='), challenges.last_mut()) {
                (true, Some(challenge)) => {
                    rest.skip(|c| c.is_ascii_whitespace());
                    let Some(value) = rest.value() else { return challenges };
                    challenge.parameters.push((word.to_ascii_lowercase(), value));
                }
                (true, None) => return challenges,
                (false, _) => {
                    challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
                }
            }
        }
    }
}

struct Rest<'h>(&'h str);

impl<'h> Rest<'h> {
    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(wanted);
    }

    fn eat(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn token(&mut self) -> &'h str {
        let word = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !word(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        token
    }

    fn value(&mut self) -> Option<String> {
        if !self.eat('"') {
            return Some(self.token().to_owned()).filter(|token| !token.is_empty());
        }
        let mut value = String::new();
        let mut characters = self.0.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                c => value.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: &[(&str, &[(&str, &str)])]) {
        let found = Challenge::parse_all(header);
        let expected: Vec<_> = (expected.iter())
            .map(|(scheme, parameters)| Challenge {
                scheme: (*scheme).to_owned(),
                parameters: parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            })
            .collect();
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn challenges_as_registries_send_them() {
        check(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull,push""#,
            &[(
                "bearer",
                &[
                    ("realm", "https://auth.docker.io/token"),
                    ("service", "registry.docker.io"),
                    ("scope", "repository:library/debian:pull,push"),
                ],
            )],
        );
        check("Basic realm=\"Registry Realm\"", &[("basic", &[("realm", "Registry Realm")])]);
        check(
            r#"BASIC realm = "a, b" , Bearer realm="https://x/",error=insufficient_scope"#,
            &[("basic", &[("realm", "a, b")]), ("bearer", &[("realm", "https://x/"), ("error", "insufficient_scope")])],
        );
        check("Negotiate, Basic realm=x", &[("negotiate", &[]), ("basic", &[("realm", "x")])]);
        check(r#"Basic realm="a \" b""#, &[("basic", &[("realm", "a \" b")])]);
    }

    #[test]
    fn broken_headers_give_what_came_before_the_break() {
        check("", &[]);
        check("=x", &[]);
        check(r#"Bearer realm="unterminated"#, &[("bearer", &[])]);
        check(r#"Bearer realm="x\"#, &[("bearer", &[])]);
        check("Bearer ,,, ; realm=x", &[("bearer", &[])]);
        assert!(Challenge::parse_all(&"Basic ".repeat(100_000)).len() <= MAX_HEADER);
        assert!(!Challenge::parse_all(&format!("Basic realm=\"{}", "é".repeat(MAX_HEADER))).is_empty());
    }
}
