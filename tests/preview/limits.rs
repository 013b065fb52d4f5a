//! Questions of the size that Lambda delivers, 6 MB, and templates that grow while they are evaluated: an answer within 30 seconds.

use std::time::Instant;

use github_trust::handler::InvocationContext;
use serde_json::{Map, Value, json};

use super::{Place, within};
use crate::simulation::cloudformation::SERVICE_TOKEN;
use crate::simulation::expected_state::ROLE;
use crate::simulation::function::function;

impl Place {
    /// The answer to the text of a question.
    async fn asked(&self, question: &str) -> String {
        let deadline = self.cloud.now() + std::time::Duration::from_mins(15);
        let context = InvocationContext { deadline, function_arn: format!("{SERVICE_TOKEN}:plan") };
        let began = (Instant::now(), self.cloud.now());
        let answer = function(&self.cloud, self.settings.clone()).handle(question, &context).await.expect("an answer");
        assert!(began.0.elapsed().as_secs() < 30, "{:?}", began.0.elapsed());
        assert!(self.cloud.now().duration_since(began.1).unwrap().as_secs() < 30);
        answer.to_string()
    }
}

fn list(unit: &str, length: usize) -> String {
    format!("[{}]", vec![unit; length / (unit.len() + 1)].join(","))
}

fn of_role(properties: &Value) -> Value {
    json!({"Type": ROLE, "Properties": properties})
}

#[test]
fn a_question_with_more_values_than_any_honest_one_is_told_so() {
    let role = |trust: &str| format!(r#"{{"Resources":{{"R":{{"Type":"{ROLE}","Properties":{{"Trust":{trust}}}}}}}}}"#);
    within(async |account| {
        for unit in ["0", "[0]", r#"{"a":0}"#, r#""""#, "[[0,0],0]"] {
            for question in [
                format!(r#"{{"Plan":{{"Template":{}}}}}"#, role(&list(unit, 5_900_000))),
                format!(
                    r#"{{"Render":{{"ResourceType":"{ROLE}","ResourceProperties":{}}}}}"#,
                    role(&list(unit, 5_900_000))
                ),
                json!({"Plan": {"Template": role(&list(unit, 2_900_000))}}).to_string(),
                format!(r#"{{"Explain":{{"RoleName":"r","Claims":{{"sub":{}}}}}}}"#, list(unit, 5_900_000)),
            ] {
                let answer = account.asked(&question).await;
                assert!(answer.contains("too many values"), "{unit}, {question:.60}: {answer:.300}");
            }
        }
        let resources: Map<String, Value> =
            (0..501).map(|at| (format!("R{at}"), json!({"Type": "AWS::SNS::Topic"}))).collect();
        let answer = account.asked(&json!({"Plan": {"Template": {"Resources": resources}}}).to_string()).await;
        assert!(answer.contains("at most 500 resources, found 501"), "{answer:.300}");
    });
}

/// Conditions that name others twice.
fn doubling(literal: &str) -> Value {
    let mut conditions = Map::new();
    for level in 0..60 {
        let next = json!({"Condition": format!("C{}", level + 1)});
        conditions.insert(format!("C{level}"), json!({"Fn::Or": [next.clone(), next]}));
    }
    conditions.insert("C60".to_owned(), json!({"Fn::Equals": [literal, "b"]}));
    Value::Object(conditions)
}

#[test]
fn a_template_that_grows_while_it_is_evaluated_is_given_up() {
    let long = "x".repeat(1_000_000);
    let wide: Map<String, Value> = (0..5000).map(|at| (format!("M{at}"), json!({"Ref": "Open"}))).collect();
    let branching = json!({"Fn::If": ["C0", "a", "b"]});
    let resources: Map<String, Value> =
        (0..500).map(|at| (format!("R{at}"), of_role(&json!({"Trust": branching})))).collect();
    let alone = |trust: Value| json!({"R": of_role(&json!({"Trust": trust}))});
    let mapped: Vec<Value> = vec![json!({"Fn::FindInMap": ["M", "a", "b"]}); 9000];
    within(async |account| {
        for (name, resources) in [
            ("a long separator", alone(json!({"Fn::Join": [long, vec!["a"; 9000]]}))),
            ("a text of parameters", alone(json!({"Fn::Sub": "${P}".repeat(300_000)}))),
            ("a list of parameters", alone(json!(vec![json!({"Ref": "P"}); 9000]))),
            ("a text of letters", alone(json!({"Fn::Split": ["", "x".repeat(2_000_000)]}))),
            ("a list of mappings", alone(json!(mapped))),
            ("long places", alone(json!({long.as_str(): wide}))),
            ("many values", alone(json!(vec![1; 100_000]))),
            ("many values that are open", alone(json!(vec![json!({"Ref": "Open"}); 12_000]))),
            ("conditions that double", alone(branching.clone())),
            ("500 of them", Value::Object(resources.clone())),
        ] {
            let template = json!({
                "Parameters": {"P": {"Type": "String", "Default": long}, "Open": {"Type": "String"}},
                "Mappings": {"M": {"a": {"b": vec![1; 9000]}}}, "Conditions": doubling(&long), "Resources": resources,
            });
            let answer = account.asked(&json!({"Plan": {"Template": template}}).to_string()).await;
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let resource = &answer["Resources"][0];
            assert_eq!(
                resource["NotKnownYet"][0], "the properties: they take too long to evaluate",
                "{name}: {answer:#.500}"
            );
            assert_eq!(resource["Mistakes"], json!([]), "{name}: {answer:#.500}");
        }
    });
}

#[test]
fn an_answer_is_not_larger_than_lambda_delivers_it() {
    let open = json!({"Fn::Sub": "${Open}".repeat(800)});
    let resources: Map<String, Value> =
        (0..400).map(|at| (format!("R{at}"), of_role(&json!({"Trust": open})))).collect();
    let template = json!({"Parameters": {"Open": {"Type": "String"}}, "Resources": resources});
    within(async |account| {
        let answer = account.asked(&json!({"Plan": {"Template": template}}).to_string()).await;
        assert!(answer.len() < 6_000_000, "{}", answer.len());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let told = answer["Resources"][0]["NotKnownYet"].as_array().unwrap();
        assert!(told.len() <= 52 && told.contains(&json!("750 more values")), "{told:?}");
    });
}
