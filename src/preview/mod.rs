//! `{"Plan": {…}}`: the effect of a declaration before anything is changed; `{"Render": {…}}`: the native resources that are
//! equivalent. The same decisions are made as for a request of
//! CloudFormation, by code that can only read.

mod answer;
mod evaluation;
mod question;
mod rendered;
mod template;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::arn::Arn;
use crate::aws::{CallError, Deadline};
use crate::cloudformation::{Request, StackId};
use crate::deployment::Deployment;
use crate::ownership::Owner;
use crate::reconcile::{DryRun, DryRunContext, Mistake, Resource, dry_run};
use crate::request_origin::{StackObject, Witness};
use crate::resources;
use crate::resources::eks_access_entry::AccessEntries;
use crate::resources::github_environment::GitHubEnvironments;
use crate::resources::github_repository_oidc::GitHubRepositoryOidcs;
use crate::resources::github_role::GitHubRoles;
use crate::resources::github_variable::GitHubVariables;
use crate::resources::oidc_provider::OidcProviders;

pub(crate) use answer::Previewed;
use evaluation::Known;
use question::{Declaration, Subject};
use template::Template;
pub(crate) use template::{RESOURCES_LIMIT, is_ours};

pub use question::{PlanQuestion, read};

/// The stack of a plan that names none.
const NEW_STACK: &str = "new-stack";
/// The time that a call may take which was started right before the deadline.
const LAST_CALL: Duration = Duration::from_secs(2);
/// The number of values that are told of one resource, and the length of their places. Lambda delivers answers of at most 6 MB.
const NOTES: usize = 50;
const PLACE: usize = 200;
/// The name of the alias that answers questions only.
const ALIAS: &str = "plan";

/// Returns true if the function was invoked by the alias that answers questions only. A function may have that name, too.
#[must_use]
pub fn is_for_questions(function_arn: &str) -> bool {
    let name = Arn::parse(function_arn).and_then(|arn| arn.resource.strip_prefix("function:"));
    name.and_then(|name| name.split_once(':')).is_some_and(|(_, alias)| alias == ALIAS)
}

/// The surroundings of one preview.
struct Preview<'a> {
    app: &'a App,
    here: &'a Deployment,
    deadline: Deadline,
    stack: StackId,
    /// False if the stack is not made yet.
    has_stack: bool,
}

/// Answers.
pub async fn answer(app: &App, here: &Deployment, deadline: Deadline, question: PlanQuestion) -> Value {
    let stack_id = question.stack_id.clone().unwrap_or_else(|| {
        let Deployment { partition, region, account, .. } = here;
        format!("arn:{partition}:cloudformation:{region}:{account}:stack/{NEW_STACK}/00000000")
    });
    let stack = match StackId::parse(&stack_id) {
        Ok(stack) => stack,
        Err(error) => return json!({"Error": error.to_string()}),
    };
    let preview = Preview { app, here, deadline, stack, has_stack: question.stack_id.is_some() };
    let render = question.render;
    let previews = match question.subject() {
        Ok(Subject::Resource(declaration)) => vec![preview.resource(&declaration, &[]).await],
        Ok(Subject::Template(template, parameters)) => match Template::parse(template, &parameters) {
            Ok(template) => preview.template(&template).await,
            Err(problem) => return json!({"Error": problem}),
        },
        Err(problem) => return json!({"Error": problem}),
    };
    if render { rendered::json(&previews) } else { answer::json(&previews) }
}

/// A change of a change set.
#[derive(Clone, Debug)]
pub struct Change {
    /// True if the resource goes.
    pub is_deletion: bool,
    /// The resource's name in its template.
    pub logical_id: String,
    /// `Custom::…`.
    pub resource_type: String,
    /// The properties before.
    pub before: Option<Members>,
    /// The properties after.
    pub after: Option<Members>,
}

/// Previews the changes of a change set to our resources, each after those that it refers to.
pub(crate) async fn changes(
    app: &App,
    here: &Deployment,
    deadline: Deadline,
    stack: StackId,
    mut changes: Vec<Change>,
    template: Option<Value>,
) -> Vec<Previewed> {
    let template = Template::of_change_set(template);
    let order = template.order();
    let types = || resources::RESOURCES.iter();
    changes.sort_by_key(|change| {
        let place = order.iter().position(|logical_id| *logical_id == change.logical_id);
        // Without a template in JSON, roles come after providers, and what needs a role comes after roles.
        (place, types().position(|resource| resource.name == change.resource_type))
    });
    let mut known = Known::of(here, Some(&stack));
    let preview = Preview { app, here, deadline, stack, has_stack: true };
    let mut all = Vec::new();
    for Change { is_deletion, logical_id, resource_type, before, after } in changes {
        let properties = if is_deletion { before.clone() } else { after }.unwrap_or_default();
        let evaluated = template.completed(&logical_id, &properties, &known);
        let declaration = Declaration {
            request_type: is_deletion.then(|| "Delete".to_owned()),
            resource_type,
            properties: evaluated.properties,
            old_properties: before.filter(|_| !is_deletion),
            physical_id: None,
            logical_id: Some(logical_id.clone()),
        };
        let previewed = preview.resource(&declaration, &evaluated.unknown).await;
        known.learn(&logical_id, &previewed.dry_run);
        all.push(previewed);
    }
    all
}

impl Preview<'_> {
    /// Previews our resources of a template, each after those that it refers to.
    async fn template(&self, template: &Template) -> Vec<Previewed> {
        let mut known = Known::of(self.here, self.has_stack.then_some(&self.stack));
        let mut all = Vec::new();
        for logical_id in template.order() {
            let Some(evaluated) = template.resource(&logical_id, &known) else { continue };
            let declaration = Declaration {
                resource_type: evaluated.resource_type,
                properties: evaluated.properties,
                logical_id: Some(logical_id.clone()),
                ..Declaration::default()
            };
            let previewed = self.resource(&declaration, &evaluated.unknown).await;
            known.learn(&logical_id, &previewed.dry_run);
            all.push(previewed);
        }
        all
    }

    /// Previews one resource. `unknown` are the properties whose values are not known yet.
    async fn resource(&self, declaration: &Declaration, unknown: &[(String, String)]) -> Previewed {
        let mut members = declaration.members();
        let mut notes = notes(unknown);
        if unknown.iter().any(|(path, _)| path.is_empty()) {
            return previewed(declaration, DryRun { unknown: notes, ..DryRun::default() });
        }
        if !members.contains_key("PhysicalResourceId") && self.has_stack && declaration.logical_id.is_some() {
            match self.object(declaration).await {
                Ok(StackObject { physical_id, in_progress }) => {
                    members.extend(physical_id.map(|id| ("PhysicalResourceId", id.into())));
                    notes.extend(in_progress.map(|status| {
                        format!("the object of the stack: CloudFormation is changing it at this moment ({status})")
                    }));
                }
                Err(problem) => notes.push(format!("the object of the stack: {problem}")),
            }
        }
        let kind = match (&declaration.request_type, members.contains_key("PhysicalResourceId")) {
            (Some(kind), _) => kind,
            (None, true) => "Update",
            (None, false) => "Create",
        };
        members.insert("RequestType", kind.into());
        let request = Request::planned(&members, self.stack.clone());
        let mut dry_run = self.dispatch(&request).await;
        // A value that is not known yet is no mistake, and neither is what follows from it.
        let is_unknown = |Mistake { path: wrong, text: _ }: &Mistake| {
            let related = |path: &str| path.starts_with(wrong) || wrong.starts_with(path);
            !wrong.is_empty() && unknown.iter().any(|(path, _)| related(path))
        };
        dry_run.mistakes.retain(|mistake| !is_unknown(mistake));
        notes.append(&mut dry_run.unknown);
        if !self.has_stack {
            notes.push("a generated name: it depends on the stack (`StackId`)".to_owned());
        }
        dry_run.unknown = notes;
        previewed(declaration, dry_run)
    }

    /// Asks CloudFormation for the object that the stack has under this logical id.
    async fn object(&self, declaration: &Declaration) -> Result<StackObject, CallError> {
        let Self { app, deadline, stack, .. } = self;
        let witness = Witness { client: &app.cloudformation, deadline: *deadline, clock: &app.clock };
        let logical_id = declaration.logical_id.as_deref().unwrap_or_default();
        witness.object(stack, logical_id, &declaration.resource_type).await
    }

    async fn dispatch(&self, request: &Request) -> DryRun {
        let Self { app, here, deadline, .. } = self;
        let owner = &Owner::new(&request.stack, &request.logical_id);
        let guardrails = &app.settings.guardrails.at(app.clock.now(), &request.logical_id);
        let context = &DryRunContext { owner, deployment: here, guardrails, deadline: *deadline };
        let github = || app.github(*deadline);
        let here = || (*here).clone();
        let looking = async {
            match request.resource_type.as_str() {
                OidcProviders::TYPE => dry_run(&app.providers(here(), *deadline), request, context).await,
                GitHubRoles::TYPE => Box::pin(dry_run(&app.roles(here(), *deadline), request, context)).await,
                AccessEntries::TYPE => dry_run(&app.entries(here(), *deadline), request, context).await,
                GitHubVariables::TYPE => {
                    let reader = GitHubVariables::new(github(), request);
                    dry_run(&app.claimed(reader, request, *deadline), request, context).await
                }
                GitHubEnvironments::TYPE => {
                    let reader = GitHubEnvironments::new(github(), request);
                    Box::pin(dry_run(&app.claimed(reader, request, *deadline), request, context)).await
                }
                GitHubRepositoryOidcs::TYPE => {
                    let reader = GitHubRepositoryOidcs {
                        github: github(),
                        iam: app.iam.clone(),
                        deadline: *deadline,
                        account: here().account,
                    };
                    dry_run(&app.claimed(reader, request, *deadline), request, context).await
                }
                other => {
                    let text = resources::unknown_type(other).to_string();
                    let mistakes = vec![Mistake { path: "ResourceType".to_owned(), text }];
                    DryRun { mistakes, ..DryRun::default() }
                }
            }
        };
        // Boxed: the future of all resource types together is large.
        let looking = Box::pin(looking);
        tokio::time::timeout_at(deadline.end() + LAST_CALL, looking).await.unwrap_or_else(|_elapsed| {
            let unknown = vec!["the plan: the time was up before everything was looked up".to_owned()];
            DryRun { unknown, ..DryRun::default() }
        })
    }
}

fn previewed(declaration: &Declaration, dry_run: DryRun) -> Previewed {
    let Declaration { logical_id, resource_type, .. } = declaration;
    Previewed { logical_id: logical_id.clone(), resource_type: resource_type.clone(), dry_run }
}

/// The values that are not known yet, in words.
fn notes(unknown: &[(String, String)]) -> Vec<String> {
    let note = |(path, why): &(String, String)| match path.char_indices().nth(PLACE) {
        _ if path.is_empty() => format!("the properties: {why}"),
        Some((end, _)) => format!("`{}…`: {why}", &path[..end]),
        None => format!("`{path}`: {why}"),
    };
    let more = unknown.len().saturating_sub(NOTES);
    let more = (more > 0).then(|| format!("{more} more values"));
    unknown.iter().take(NOTES).map(note).chain(more).collect()
}

/// Members of a JSON object.
pub type Members = Map<String, Value>;
