//! A state change is a value.
//!
//! ```compile_fail
//! use gatehouse_domain::{audit::Action, change::Changed, time::Timestamp};
//! // Only the domain's transitions make a `Changed`; nobody can save a value with a made-up event.
//! let forged = Changed { value: Timestamp::default(), event: todo!(), endangers_platform: false, elsewhere: None };
//! ```

use crate::{
    audit::{Action, Event, Fields, Resource},
    authz::By,
};

/// A new state and the event that explains it. Persistence writes both in one transaction, or neither.
#[derive(Debug, Clone)]
#[must_use = "a change takes effect only when it is saved"]
pub struct Changed<T> {
    value: T,
    event: Event,
    endangers_platform: bool,
    elsewhere: Option<Box<Event>>,
}

impl<T> Changed<T> {
    pub(crate) fn new(value: T, action: Action, resource: Resource, by: &By) -> Self {
        Self {
            value,
            event: Event { action, resource, by: *by, failure: None, reason: None, fields: Fields::default() },
            endangers_platform: false,
            elsewhere: None,
        }
    }

    /// A change whose event another transition has made.
    pub(crate) const fn of(value: T, event: Event) -> Self {
        Self { value, event, endangers_platform: false, elsewhere: None }
    }

    /// Marks a change that can leave the platform without an administrator.
    pub(crate) const fn endangering_platform(mut self, endangers: bool) -> Self {
        self.endangers_platform = endangers;
        self
    }

    /// Whether the platform may be without an administrator afterwards. Whoever saves it asks
    /// [`crate::platform::administrator_stays`].
    pub const fn endangers_platform(&self) -> bool {
        self.endangers_platform
    }

    /// Tells of the change where its event is not seen.
    pub(crate) fn told_elsewhere(mut self, event: Option<Event>) -> Self {
        self.elsewhere = event.map(Box::new);
        self
    }

    /// The event for those who do not see that of the change.
    pub fn elsewhere(&self) -> Option<Box<Event>> {
        self.elsewhere.clone()
    }

    pub(crate) fn with(mut self, fields: Fields) -> Self {
        self.event.fields = fields;
        self
    }

    pub(crate) const fn because(mut self, reason: &'static str) -> Self {
        self.event.reason = Some(reason);
        self
    }

    /// The new state.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Takes the change apart, to store it.
    pub fn into_parts(self) -> (T, Event) {
        (self.value, self.event)
    }
}
