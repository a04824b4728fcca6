//! Closed sets of words: states, actions and the like, as the database, the API and the audit trail have them.

use crate::issue::Fault;

/// A closed set of words.
pub trait Word: Sized + Copy + 'static {
    /// Every value with its word.
    const ALL: &'static [(Self, &'static str)];

    /// The value of a word.
    ///
    /// # Errors
    /// `enum` lists the words.
    fn from_word(word: &str) -> Result<Self, Fault> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(value, _)| *value).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|(_, w)| *w).collect();
            Fault::new("enum", format!("must be one of {}", words.join(", ")))
        })
    }
}

/// Declares closed sets of words. `/// A colour. Colour { /// Like blood. Red = "red", }` becomes
///
/// ```text
/// enum Colour { Red }     // with its documentation, and the word "red" in JSON and in the document
/// Colour::Red.as_str()      // "red", which it is displayed as too
/// Colour::Red.description() // "Like blood."
/// impl Word for Colour      // Colour::ALL, Colour::from_word("red")
/// ```
macro_rules! words {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $meaning:literal])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[doc = $meaning])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning,)*).trim_start(),)* }
            }
        }

        impl $crate::word::Word for $name {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $word),)*];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
pub(crate) use words;
