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
    let options = SDLExportOptions::new()
        .federation()
        .compose_directive()
        .use_space_ident()
        .indent_width(2);
    let printed = schema.sdl_with_options(options);
    let mut sdl = String::from(LINK);
    let mut in_link = false;
    for line in printed.lines() {
        in_link |= line.starts_with("extend schema @link(");
        if !in_link && !line.starts_with("directive @") {
            sdl.push_str(line.trim_end());
            sdl.push('\n');
        }
        in_link &= line != ")";
    }
    sdl
}
