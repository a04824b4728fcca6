//! The parameters of a request (RFC 6749, section 3.1): unknown ones are ignored, empty ones count as absent, and none
//! may be there twice.

use crate::oauth::UserCode;

/// The parameters of a request that have a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    device: Option<UserCode>,
}

impl Params {
    /// Takes names and values.
    #[must_use]
    pub fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.retain(|(_, value)| !value.is_empty());
        Self { pairs, device: None }
    }

    /// What a device asks for that shows this code: its application has sent the parameters itself.
    #[must_use]
    pub fn of_device(code: UserCode) -> Self {
        Self::default().asked_by(Some(code))
    }

    /// The same parameters as a device asks with, if one does.
    #[must_use]
    pub fn asked_by(self, device: Option<UserCode>) -> Self {
        Self { device, ..self }
    }

    /// The code of the device that asks, if one does.
    #[must_use]
    pub const fn device(&self) -> Option<&UserCode> {
        self.device.as_ref()
    }

    /// The same request, answered on pages in another language.
    #[must_use]
    pub fn in_language(mut self, tag: &str) -> Self {
        self.pairs.retain(|(name, _)| name != "ui_locales");
        self.pairs.push(("ui_locales".to_owned(), tag.to_owned()));
        self
    }

    /// The value of a parameter; of a repeated one the first.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there more than once.
    #[must_use]
    pub fn repeats(&self, name: &str) -> bool {
        self.pairs.iter().filter(|(known, _)| known == name).nth(1).is_some()
    }

    /// The first parameter that is there more than once.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        self.pairs.iter().map(|(name, _)| name.as_str()).find(|name| self.repeats(name))
    }

    /// Names and values in their order.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}
