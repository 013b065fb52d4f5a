//! Values as CloudFormation delivers them, and mistakes.

use serde_json::{Map, Value, json};

use crate::cloudformation::Fields;
use crate::cloudformation::property_handle::{Boolean, Document, Integer, ObjectType, Objects, Texts, object_type};
use crate::cloudformation::schema::{Count, Property, TEXT, Text};

fn read<O: ObjectType, T>(properties: &Value, read: impl FnOnce(&mut Fields<'_, O>) -> T) -> (T, String) {
    let mut fields = Fields::of_request(properties.as_object().unwrap());
    let value = read(&mut fields);
    (value, fields.finish().map_or_else(|errors| errors.to_string(), |()| String::new()))
}

const UP_TO_TWO: Count = Count::at_most(2, "things");

object_type! {
    Scalars => {
        A: Integer = Property::integer("A", 1, 9999, "seconds", "");
        B: Integer = Property::integer("B", 1, 9999, "seconds", "");
        C: Boolean = Property::boolean("C", "", "");
        D: Boolean = Property::boolean("D", "", "");
        E: Texts = Property::texts("E", TEXT.at_most(3), UP_TO_TWO, "a thing", "");
    }
}

#[test]
fn scalars_are_accepted_as_cloudformation_delivers_them() {
    let properties = json!({"ServiceToken": "t", "A": "3600", "B": 3600, "C": "true", "D": false, "E": "x"});
    let any = |text: &str| Ok(text.to_owned());
    let (values, errors) = read(&properties, |fields| {
        (
            fields.integer(Scalars::A),
            fields.integer(Scalars::B),
            fields.boolean(Scalars::C),
            fields.boolean(Scalars::D),
            fields.texts(Scalars::E, any),
        )
    });
    assert_eq!(values, (Some(3600), Some(3600), Some(true), Some(false), Some(vec!["x".to_owned()])));
    assert_eq!(errors, "");
}

#[test]
fn a_number_is_written_in_digits_alone() {
    for (value, number) in [("3600", Some(3600)), ("+3600", None), (" 3600", None), ("3.6e3", None), ("", None)] {
        let (found, _) = read(&json!({"A": value}), |fields| fields.integer(Scalars::A));
        assert_eq!(found, number, "{value:?}");
    }
}

#[test]
fn up_to_four_values_are_told_in_a_sentence_and_more_in_a_list() {
    for (values, told) in [
        (&["A", "B"][..], "A or B"),
        (&["A", "B", "C", "D"], "A, B, C or D"),
        (&["A", "B", "C", "D", "E"], "one of A, B, C, D, E"),
    ] {
        assert_eq!(Property::choice("Choice", values, "").property.allowed(), told);
    }
}

object_type! {
    Optional => {
        CHOICE: Text = Property::choice("Choice", &["This", "That"], "").default("That");
        WANTED: Document = Property::document("Wanted", "a thing", "").required();
    }
}

#[test]
fn an_absent_property_has_its_default_or_is_missed_once() {
    let (choice, errors) = read(&json!({}), |fields| {
        fields.document(Optional::WANTED);
        fields.document(Optional::WANTED);
        fields.choice(Optional::CHOICE)
    });
    assert_eq!(choice, Some("That"));
    assert_eq!(errors, "`Wanted` is required: a thing");
}

object_type! {
    Inner => {
        REPOSITORY: Text = Property::text("Repository", TEXT, "a thing", "").required();
    }
}

object_type! {
    Outer => {
        MAX: Integer = Property::integer("MaxSessionDuration", 3600, 43200, "seconds", "");
        NEGATIVE: Integer = Property::integer("Negative", 0, 9, "things", "");
        FLAG: Boolean = Property::boolean("Flag", "", "");
        EMPTY: Text = Property::text("Empty", TEXT, "a thing", "");
        NULL: Text = Property::text("Null", TEXT, "a thing", "");
        CHOICE: Text = Property::choice("Choice", &["This", "That"], "");
        LIST: Texts = Property::texts("List", TEXT.at_most(3), UP_TO_TWO, "a thing", "");
        HOLES: Texts = Property::texts("Holes", TEXT.at_most(3), UP_TO_TWO, "a thing", "");
        MANY: Texts = Property::texts("Many", TEXT.at_most(3), UP_TO_TWO, "a thing", "");
        DOCUMENT: Document = Property::document("Document", "a thing", "");
        NESTED: Objects<Inner> = Property::objects("Nested", Count { min: 3, max: 4, noun: "things" }, "a thing", "");
        THREE: Objects<Inner> = Property::objects("Three", Count { min: 0, max: 4, noun: "things" }, "a thing", "");
        WANTED: Text = Property::text("Wanted", TEXT, "a thing", "").required();
    }
}

#[test]
fn each_mistake_names_the_property_the_value_and_what_is_allowed() {
    let properties = json!({
        "MaxSessionDuration": "900", "Negative": "-5", "Flag": "yes", "Empty": "", "Null": null, "Choice": "Those",
        "List": "a,b", "Nested": [{"Repositry": "x"}, 7], "Three": [{"Repositry": "x"}, 7], "Holes": ["", 3], "Many": ["a", "b", "cdef"], "Far": "x",
        "Document": "{",
    });
    let any = |text: &str| Ok(text.to_owned());
    let ((), errors) = read(&properties, |fields| {
        fields.integer(Outer::MAX);
        fields.integer(Outer::NEGATIVE);
        fields.boolean(Outer::FLAG);
        fields.text(Outer::EMPTY);
        fields.text(Outer::NULL);
        fields.choice(Outer::CHOICE);
        fields.texts(Outer::LIST, any);
        fields.texts(Outer::HOLES, any);
        fields.texts(Outer::MANY, any);
        fields.document(Outer::DOCUMENT);
        fields.objects(Outer::NESTED, |fields| fields.checked(Inner::REPOSITORY, any));
        fields.objects(Outer::THREE, |fields| fields.checked(Inner::REPOSITORY, any));
        fields.checked(Outer::WANTED, any);
    });
    insta::assert_snapshot!(errors.replace("; ", "\n").replace("`\ndid", "`; did").replace("`\nallowed", "`; allowed"), @r#"
    unknown property `Three[0].Repositry`; did you mean `Repository`?
    `MaxSessionDuration`: expected 3600 to 43200 seconds, found "900"
    `Negative`: expected 0 to 9 things, found "-5"
    `Flag`: expected true or false, found "yes"
    `Empty`: expected a value (leave the property out with `!Ref AWS::NoValue`), found ""
    `Null`: expected a string, found null
    `Choice`: expected This or That, found "Those"
    `List`: expected a list of strings (turn a comma-separated string into one with `!Split [",", …]`), found "a,b"
    `Holes[0]`: expected a value (leave it out with `!Ref AWS::NoValue`), found ""
    `Holes[1]`: expected a string, found a number
    `Many`: expected at most 2 things, found 3
    `Document`: expected a JSON object, found EOF while parsing an object at line 1 column 1 of "{"
    `Nested`: expected 3 to 4 things, found 2
    `Three[1]`: expected an object, found a number
    `Wanted` is required: a thing
    unknown property `Far`; allowed are Choice, Document, Empty, Flag, Holes, List, Many, MaxSessionDuration, Negative, Nested, Null, Three, Wanted
    "#);
}

object_type! {
    Entry("", any_of: ["Repository", "Subjects"]) => {
        REPOSITORY: Text = Property::text("Repository", TEXT, "a thing", "");
        SUBJECTS: Text = Property::text("Subjects", TEXT, "a thing", "");
        NAME: Text = Property::text("Name", TEXT, "a name", "").required();
    }
}

object_type! {
    List => {
        ENTRIES: Objects<Entry> = Property::objects("Entries", UP_TO_TWO, "a thing", "").required();
        ACTORS: Text = Property::text("Actors", TEXT, "a user", "").required();
    }
}

#[test]
fn a_misspelt_property_is_told_first_and_its_absence_is_not_told() {
    for (properties, expected) in [
        (
            json!({"Entries": [{"Repo": "a/b"}], "Actors": "octo"}),
            "unknown property `Entries[0].Repo`; use `Repository`; `Entries[0].Name` is required: a name",
        ),
        (
            json!({"Entries": [{"Repositry": "a/b", "Namee": "n"}]}),
            "unknown property `Entries[0].Namee`; did you mean `Name`?; unknown property `Entries[0].Repositry`; did you mean \
             `Repository`?; `Actors` is required: a user",
        ),
        // The property that is suggested can stand for the one that is absent.
        (
            json!({"Entries": [{"Sub": "a/b", "Name": "n"}], "Actors": "octo"}),
            "unknown property `Entries[0].Sub`; use `Subjects`",
        ),
        // The absence of another object does not follow.
        (
            json!({"Entries": [{"Name": "n"}, {"Repo": "a/b", "Name": "n"}], "Actor": "octo"}),
            "unknown property `Entries[1].Repo`; use `Repository`; unknown property `Actor`; use `Actors`; \
             `Entries[0].Repository` is required: a thing",
        ),
        (
            json!({"Entries": [{"Far": "a/b", "Name": "n"}], "Actors": "octo"}),
            "`Entries[0].Repository` is required: a thing; unknown property `Entries[0].Far`; allowed are Name, Repository, \
             Subjects",
        ),
    ] {
        let ((), errors) = read(&properties, |fields| {
            fields.objects(List::ENTRIES, |fields| {
                if !fields.has(Entry::REPOSITORY) && !fields.has(Entry::SUBJECTS) {
                    fields.missing(Entry::REPOSITORY, "a thing");
                }
                Some((fields.text(Entry::REPOSITORY), fields.text(Entry::SUBJECTS), fields.text(Entry::NAME)))
            });
            fields.text(List::ACTORS);
        });
        assert_eq!(errors, expected, "{properties}");
    }
}

#[test]
fn half_a_million_unknown_properties_are_counted_and_fifty_reported() {
    let members: Map<String, Value> = (0..500_000).map(|index| (format!("Unknown{index}"), Value::Null)).collect();
    let fields = Fields::<'_, Scalars>::of_request(&members);
    let errors = fields.finish().unwrap_err();
    assert_eq!(errors.len(), 500_000);
    let text = errors.to_string();
    assert!(text.len() < 10_000 && text.ends_with("; and 499950 more mistakes"), "{}", text.len());
}
