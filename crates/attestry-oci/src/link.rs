//! `Link` headers (RFC 8288), as far as lists need them.

/// The target of `rel="next"` in a `Link` header (RFC 8288).
pub(crate) fn next(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, parameters) = after.split_once('>')?;
        let (own, next) = match parameters.find(",<").or_else(|| parameters.find(", <")) {
            Some(at) => parameters.split_at(at),
            None => (parameters, ""),
        };
        let is_next = |parameter: &str| {
            parameter.trim().split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
            })
        };
        if own.split(';').any(is_next) {
            return Some(target);
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_headers_as_registries_send_them() {
        for (header, expected) in [
            (r#"</v2/app/referrers/x?last=1>; rel="next""#, Some("/v2/app/referrers/x?last=1")),
            (r#"<https://h/a>; rel=next"#, Some("https://h/a")),
            (r#"<a>; rel="prev", <b>; title="x"; REL = "Next""#, Some("b")),
            (r#"<a,b>;rel="next""#, Some("a,b")),
            (r#"<a>; rel="prev""#, None),
            (r#"<a>; rel="prev",<b>"#, None),
            ("<a", None),
            ("", None),
            ("rel=next", None),
        ] {
            assert_eq!(next(header), expected, "{header}");
        }
    }
}
