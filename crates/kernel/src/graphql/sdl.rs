//! The SDL of a subgraph, made fit for composition.

use async_graphql::{ObjectType, SDLExportOptions, Schema, SubscriptionType};

const LINK: &str = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@key\", \"@tag\", \
\"@shareable\", \"@inaccessible\", \"@override\", \"@external\", \"@provides\", \"@requires\", \"@composeDirective\", \
\"@interfaceObject\", \"@authenticated\", \"@requiresScopes\", \"@cost\", \"@listSize\"])\n";

pub use directive::authenticated;

#[expect(missing_docs, reason = "the macro makes items it does not document")]
mod directive {
    use async_graphql::TypeDirective;

    /// Marks a field that needs a signed-in user: `#[graphql(directive = authenticated::apply())]`.
    #[TypeDirective(location = "FieldDefinition", location = "Object")]
    pub fn authenticated() {}
}

/// The subgraph's SDL. async-graphql links federation v2.5 without `@authenticated` and defines the directive itself; composition
/// would then drop it silently. So the link is replaced and the definition removed.
pub fn federation_sdl<Q, M, S>(schema: &Schema<Q, M, S>) -> String
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    let options = SDLExportOptions::new().federation().compose_directive().use_space_ident().indent_width(2);
    fit_for_composition(&schema.sdl_with_options(options))
}

/// Everything but the link and the definitions of directives; with a definition goes its description, or it would dangle.
fn fit_for_composition(printed: &str) -> String {
    let mut sdl = String::from(LINK);
    let mut description = String::new();
    let (mut in_description, mut in_link) = (false, false);
    for line in printed.lines().map(str::trim_end) {
        let quotes = line == "\"\"\"";
        if quotes || in_description {
            in_description ^= quotes;
            description.extend([line, "\n"]);
            continue;
        }
        in_link |= line.starts_with("extend schema @link(");
        let dropped = in_link || line.starts_with("directive @");
        in_link &= line != ")";
        let own = std::mem::take(&mut description);
        if !dropped {
            sdl.extend([library_description(line).unwrap_or(&own), line, "\n"]);
        }
    }
    sdl
}

/// Descriptions for types of the GraphQL library that have none, or one that speaks of Rust.
fn library_description(line: &str) -> Option<&'static str> {
    let words = line.split_whitespace().take(2).collect::<Vec<_>>();
    match words.as_slice() {
        ["scalar", "DateTime"] => Some("\"\"\"\nAn instant with offset, RFC 3339: 2026-12-24T18:05:00+07:00.\n\"\"\"\n"),
        ["type", name] if name.ends_with("Connection") => {
            Some("\"\"\"\nA page of a list: its items, and where it stands in the whole.\n\"\"\"\n")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{EmptyMutation, EmptySubscription, InputObject, Object, Schema, parser::parse_schema};

    use super::{LINK, authenticated, federation_sdl};

    /// Where to look.
    #[derive(InputObject)]
    struct Place {
        name: String,
    }

    struct Query;

    /// The roots.
    #[Object]
    impl Query {
        /// Somebody's secret.
        #[graphql(directive = authenticated::apply())]
        async fn secret(&self, place: Place) -> String {
            place.name
        }
    }

    #[test]
    fn directives_lose_their_definition_and_keep_their_uses() {
        let schema = Schema::build(Query, EmptyMutation, EmptySubscription).enable_federation().finish();
        let sdl = federation_sdl(&schema);
        assert!(sdl.starts_with(LINK));
        assert!(sdl.contains("secret(place: Place!): String! @authenticated"), "{sdl}");
        assert!(sdl.contains("Where to look."), "{sdl}");
        assert!(!sdl.contains("directive @"), "{sdl}");
        parse_schema(&sdl).expect("valid SDL");
    }
}
