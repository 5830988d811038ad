//! Tools on offer: functions in a wrapper or bare, custom tools, and the provider's own.

use serde::Deserialize;

use crate::dialect::Tool;
use crate::dialect::given::{Given, Take};
use crate::dialect::schema::Schema;

#[derive(Debug, Default)]
pub(in crate::dialect) struct Tools<'a>(pub(in crate::dialect) Vec<Tool<'a>>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(in crate::dialect) struct Offered<'a> {
    r#type: Given<'a>,
    function: Given<'a, Function<'a>>,
    custom: Given<'a, Function<'a>>,
    // Responses and the older `functions` name theirs without a wrapper.
    name: Given<'a>,
    parameters: Given<'a, Schema<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Function<'a> {
    name: Given<'a>,
    parameters: Given<'a, Schema<'a>>,
}

impl<'de: 'a, 'a> Take<'de> for Tools<'a> {
    type Item = Given<'a, Offered<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(offered) = item.object() else { return };
        let bare = Function { name: offered.name, parameters: offered.parameters };
        let function =
            offered.function.object().or_else(|| offered.custom.object()).unwrap_or(bare);
        // The provider's own tools, such as `web_search`, have a type alone.
        let built_in = |kind: &std::borrow::Cow<'a, str>| !matches!(&**kind, "function" | "custom");
        let name = function.name.text().or_else(|| offered.r#type.text().filter(built_in));
        if let Some(name) = name {
            let schema = function.parameters.object().unwrap_or_default();
            self.0.push(Tool { name, params: schema.params() });
        }
    }
}
