//! How the document describes the shapes of answers.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema},
};

use super::{
    Accepted, ApiResponse, Bare, ChangeResponse, Created, EffectsResponse, MetaResponse, NoContent, PaginatedResponse,
    PaginationMeta, Queued, Removal, WithChanges, WithEffects,
};
use crate::http::operation::{About, CONFLICT, Describe};

impl<T: ToSchema> Describe for ApiResponse<T> {
    fn describe(about: &mut About) {
        about.json::<Self>("200");
    }
}

impl<T: ToSchema> Describe for Created<T> {
    fn describe(about: &mut About) {
        about.json::<ApiResponse<T>>("201");
    }
}

impl<T: ToSchema> Describe for WithEffects<T> {
    fn describe(about: &mut About) {
        about.json::<ApiResponse<T>>("200");
    }
}

impl<T: ToSchema> Describe for WithChanges<T> {
    fn describe(about: &mut About) {
        about.json::<ApiResponse<T>>("200");
    }
}

impl<T: ToSchema> Describe for Bare<T> {
    fn describe(about: &mut About) {
        about.json::<T>("200");
    }
}

impl<T: ToSchema> Describe for Accepted<T> {
    fn describe(about: &mut About) {
        about.json::<T>("202");
    }
}

impl<T: ToSchema> Describe for Queued<T> {
    fn describe(about: &mut About) {
        about.json::<ApiResponse<T>>("202");
    }
}

impl Describe for NoContent {
    fn describe(about: &mut About) {
        about.nothing("204");
    }
}

impl<T: ToSchema> Describe for Removal<T> {
    fn describe(about: &mut About) {
        about.json::<ApiResponse<T>>("200");
        about.nothing("204");
        about.fails(&[CONFLICT]);
    }
}

impl<T: ToSchema> Describe for PaginatedResponse<T> {
    fn describe(about: &mut About) {
        about.json::<Self>("200");
    }
}

// Written by hand, because the derive would inline `T`, and generators would make up a type for every use of it.

impl<T: ToSchema> PartialSchema for ApiResponse<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some(format!("One {}.", T::name())))
            .property("data", Ref::from_schema_name(T::name()))
            .required("data")
            .property("meta", Ref::from_schema_name("MetaResponse"))
            .required("meta")
            .into()
    }
}

impl<T: ToSchema> ToSchema for ApiResponse<T> {
    fn name() -> Cow<'static, str> {
        format!("ApiResponse_{}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        schemas.push(("MetaResponse".to_owned(), MetaResponse::schema()));
        schemas.push(("EffectsResponse".to_owned(), EffectsResponse::schema()));
        schemas.push(("ChangeResponse".to_owned(), ChangeResponse::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> PartialSchema for PaginatedResponse<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some(format!("A page of {} objects.", T::name())))
            .property("data", ArrayBuilder::new().items(Ref::from_schema_name(T::name())).max_items(Some(200)))
            .required("data")
            .property("pagination", Ref::from_schema_name("PaginationMeta"))
            .required("pagination")
            .property("meta", Ref::from_schema_name("MetaResponse"))
            .required("meta")
            .into()
    }
}

impl<T: ToSchema> ToSchema for PaginatedResponse<T> {
    fn name() -> Cow<'static, str> {
        format!("PaginatedResponse_{}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        schemas.push(("MetaResponse".to_owned(), MetaResponse::schema()));
        schemas.push(("EffectsResponse".to_owned(), EffectsResponse::schema()));
        schemas.push(("ChangeResponse".to_owned(), ChangeResponse::schema()));
        schemas.push(("PaginationMeta".to_owned(), PaginationMeta::schema()));
        T::schemas(schemas);
    }
}
