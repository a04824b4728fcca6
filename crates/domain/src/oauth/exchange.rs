//! Tokens that an application exchanges for others, to act for the same user elsewhere (RFC 8693).

use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    audit::{Action, Fields},
    change::Changed,
    id::ApplicationId,
    oauth::{Audience, Scopes, TokenFamily},
};

/// Who acts for the user of a token: the application that has it, and those before it (RFC 8693, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    act: Option<Box<Self>>,
}

impl Act {
    /// How many applications may stand one behind the other.
    pub const MOST: usize = 5;

    /// An application that acts with a token by which others have acted before; none where these are too many.
    #[must_use]
    pub fn of(application: ApplicationId, before: Option<&Self>) -> Option<Self> {
        let act = Self { sub: application.to_string(), act: before.cloned().map(Box::new) };
        (act.depth() <= Self::MOST).then_some(act)
    }

    fn depth(&self) -> usize {
        1 + self.act.as_ref().map_or(0, |before| before.depth())
    }
}

impl TokenFamily {
    /// An application gets an access token of the family in exchange for one that was for it.
    pub fn exchange(self, by: &Application, audience: &Audience, scopes: &Scopes) -> Changed<Self> {
        let resource = self.resource();
        let mut fields = Fields::default();
        fields.set("application_id", by.id).set("audience", audience.to_string()).set("scope", scopes.to_string());
        Changed::new(self, Action::TokenFamilyExchanged, resource, &by.by()).with(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_applications_act_one_behind_the_other_and_no_sixth() {
        let one = |n| ApplicationId::from_parts(n, [0; 10]);
        let mut act = Act::of(one(1), None).unwrap();
        for n in 2..=5 {
            act = Act::of(one(n), Some(&act)).unwrap();
        }
        assert_eq!(Act::of(one(6), Some(&act)), None);
        let text = serde_json::to_value(&act).unwrap();
        assert_eq!((&text["sub"], &text["act"]["sub"]), (&one(5).to_string().into(), &one(4).to_string().into()));
        assert_eq!(serde_json::from_value::<Act>(text).unwrap(), act);
    }
}
