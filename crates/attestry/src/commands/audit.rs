//! `attestry audit`: what was decided, read from a data directory or over a server's API.

mod directory;
mod server;

use attestry_core::decision::{Decision, Objection};
use attestry_core::{Digest, Review};
use attestry_store::RecordName;
use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::cli::{AuditCommand, AuditListArgs, AuditShowArgs};
use crate::exit::{Exit, Failure};
use crate::explain;
use crate::output::Paint;

pub(super) fn run(command: &AuditCommand, context: Context<'_>) -> Result<Exit, Failure> {
    match command {
        AuditCommand::List(args) => list(args, context),
        AuditCommand::Show(args) => show(args, context),
    }
}

/// A decision with the id under which it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    id: String,
    decision: Decision,
}

/// Which decisions are wanted.
#[derive(Debug, Clone)]
struct Filter {
    digest: Option<Digest>,
    namespace: Option<String>,
    denied: bool,
    limit: usize,
}

impl Filter {
    fn wants(&self, decision: &Decision) -> bool {
        let digest = self.digest.is_none_or(|digest| decision.images.iter().any(|image| image.digest == Some(digest)));
        let namespace = self.namespace.is_none() || self.namespace == decision.request.namespace;
        digest && namespace && !(self.denied && decision.allowed)
    }
}

#[derive(Debug, Serialize)]
struct List {
    decisions: Vec<Kept>,
}

fn list(args: &AuditListArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let digest = args.digest.as_deref().map(str::parse::<Digest>).transpose();
    let digest = digest.map_err(|error| Failure::usage(format!("--digest: {error}")))?;
    let (namespace, limit) = (args.namespace.clone(), usize::from(args.limit));
    let filter = Filter { digest, namespace, denied: args.denied, limit };
    let decisions = match (args.source.directory(), server::Server::of(&args.source)?) {
        (Some(directory), _) => directory::list(directory, &filter, context)?,
        (None, Some(server)) => server.list(&filter)?,
        (None, None) => return Err(no_source()),
    };
    let list = List { decisions };
    context.output.result("DecisionList", &list, || table(&list.decisions, context.output.paint))?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    id: String,
    decision: Decision,
    /// The recorded reviews of its images, in the order of the decision.
    reviews: Vec<Review>,
}

fn show(args: &AuditShowArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let name = args.id.parse::<RecordName>().map_err(|error| Failure::usage(format!("{:?}: {error}", args.id)))?;
    let shown = match (args.source.directory(), server::Server::of(&args.source)?) {
        (Some(directory), _) => directory::show(directory, name)?,
        (None, Some(server)) => server.show(name)?,
        (None, None) => return Err(no_source()),
    };
    context.output.result("DecisionRecord", &shown, || describe(&shown, context.output.paint))?;
    Ok(Exit::Done)
}

fn no_source() -> Failure {
    Failure::usage("say where decisions are read: a data directory or --server URL")
}

fn table(decisions: &[Kept], paint: Paint) -> String {
    if decisions.is_empty() {
        return "no decisions".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["DECISION", "TIME", "ANSWER", "OBJECT", "IMAGE", "REASONS"]);
    for Kept { id, decision } in decisions {
        let request = &decision.request;
        let object = [request.namespace.as_deref(), request.name.as_deref()].into_iter().flatten().collect::<Vec<_>>();
        let object = format!("{} {}", request.kind, object.join("/"));
        let mut codes: Vec<&str> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
        codes.extend(decision.images.iter().flat_map(|image| &image.answer.denials).map(|o| o.reason.code.as_str()));
        codes.sort_unstable();
        codes.dedup();
        let images: Vec<&str> = decision.images.iter().map(|image| image.image.as_str()).collect();
        let time = decision.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let answer = answered(decision.allowed, paint);
        table.add_row([id.clone(), time, answer, object, images.join("\n"), codes.join(" ")]);
    }
    table.to_string()
}

fn answered(allowed: bool, paint: Paint) -> String {
    if allowed { paint.good("admitted") } else { paint.bad("refused") }
}

fn describe(shown: &Shown, paint: Paint) -> String {
    let Decision { time, request, allowed, images, reasons, policy_set, .. } = &shown.decision;
    let mut lines = vec![format!("{}  {}  {time}", shown.id, answered(*allowed, paint))];
    let name =
        [request.namespace.as_deref(), request.name.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("/");
    lines.push(format!("  request     {} {} {name}, uid {}", request.operation, request.kind, request.uid));
    if let Some(user) = &request.user_name {
        lines.push(format!("  by          {user}"));
    }
    lines.push(format!("  policy set  {policy_set}"));
    lines.extend(reasons.iter().map(|reason| format!("  {reason}")));
    for image in images {
        lines.push(format!("  image {}", image.image));
        let fields = request.images.iter().filter(|asked| asked.image == image.image).flat_map(|asked| &asked.fields);
        lines.push(format!("    at        {}", fields.cloned().collect::<Vec<_>>().join(", ")));
        if let Some(digest) = image.digest {
            lines.push(format!("    digest    {digest}"));
        }
        if let Some(verdict) = image.verdict {
            lines.push(format!("    verdict   {}", explain::verdict(verdict, paint)));
        }
        if let Some(review) = image.review {
            lines.push(format!("    review    {review}"));
        }
        let objection = |word: &str, objection: &Objection| {
            let place = [objection.policy.as_deref(), objection.requirement.as_deref()];
            let place = place.into_iter().flatten().collect::<Vec<_>>().join("/");
            format!("    {word}  {place}{}{}", if place.is_empty() { "" } else { ": " }, objection.reason)
        };
        lines.extend(image.answer.denials.iter().map(|o| objection("refused ", o)));
        lines.extend(image.answer.warnings.iter().map(|o| objection("warning ", o)));
        let review = shown.reviews.iter().find(|review| image.review == Some(review.name()));
        lines.extend(review.into_iter().flat_map(explain::proofs).map(|line| format!("    proof     {line}")));
    }
    lines.join("\n")
}
