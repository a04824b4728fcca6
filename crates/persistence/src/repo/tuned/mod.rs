//! The statements that are text: those whose plan or whose locks the builder cannot say, and those of every sign-in and
//! every request. Each says why it is text and which test looks at its plan; `tests/it/text.rs` counts them. Everything
//! else is built from the entities.
