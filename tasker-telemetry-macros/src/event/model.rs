//! An event as it is meant: the struct, its name, and its fields as they are serialised.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt as _;
use syn::{Data, DeriveInput, Fields, LitStr, Type};

use super::args::{Args, parse_field};
use super::serde_attrs::{FieldAttrs, TypeAttrs};
use crate::crate_path::CratePath;
use crate::diagnostics::Diagnostics;
use crate::docs::description;
use crate::type_text::type_text;

/// An event.
pub(crate) struct Model<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a syn::Generics,
    /// `None` when it was reported already.
    pub(crate) name: Option<&'a LitStr>,
    pub(crate) description: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) serde: TypeAttrs,
    pub(crate) krate: CratePath,
}

/// A field of its payload.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    /// The name as it is serialised, and where it is written.
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) description: String,
    pub(crate) optional: bool,
    /// The word `sensitive`.
    pub(crate) sensitive: Option<Ident>,
    pub(crate) serde: FieldAttrs,
}

impl<'a> Model<'a> {
    /// The model, or `None` after reporting that the item cannot be an event.
    pub(crate) fn new(input: &'a DeriveInput, args: &'a Args, diagnostics: &mut Diagnostics) -> Option<Self> {
        if args.name.is_none() && !args.wrong {
            diagnostics.error(&input.ident, format!("the event has no name: write `#[{}]`", example(&input.ident)));
        }
        let serde = TypeAttrs::parse(&input.attrs);
        let fields = named_fields(&input.data, diagnostics)?;
        let fields =
            fields.filter_map(|field| Some(Field::new(field.ident.clone()?, field, &serde, diagnostics))).collect();
        Some(Self {
            ident: &input.ident,
            generics: &input.generics,
            name: args.name.as_ref(),
            description: description(&input.attrs),
            fields,
            serde,
            krate: args.krate.clone().unwrap_or_default(),
        })
    }

    /// The fields of the payload: those that serde does not skip.
    pub(crate) fn payload(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.serde.skip.is_none())
    }
}

impl Field {
    fn new(ident: Ident, field: &syn::Field, container: &TypeAttrs, diagnostics: &mut Diagnostics) -> Self {
        let serde = FieldAttrs::parse(&field.attrs);
        let own = ident.unraw().to_string();
        let (name, name_span) = match &serde.rename {
            Some(name) => (name.value(), name.span()),
            None => (container.rename_all.map_or_else(|| own.clone(), |rule| rule.apply(&own)), ident.span()),
        };
        Self {
            name,
            name_span,
            description: description(&field.attrs),
            optional: serde.skip_if || is_option(&field.ty),
            sensitive: parse_field(&field.attrs, diagnostics),
            ty: field.ty.clone(),
            ident,
            serde,
        }
    }

    /// The type's source text.
    pub(crate) fn type_text(&self) -> String {
        type_text(&self.ty)
    }
}

/// What the attribute of the type looks like.
pub(crate) fn example(ident: &Ident) -> String {
    format!("event(\"namespace.{}\")", crate::snake_case::snake_case(&ident.unraw().to_string()))
}

/// The fields of a struct whose fields have names, or of one without any.
fn named_fields<'a>(
    data: &'a Data,
    diagnostics: &mut Diagnostics,
) -> Option<impl Iterator<Item = &'a syn::Field> + use<'a>> {
    match data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) | Fields::Unit => return Some(data.fields.iter()),
            Fields::Unnamed(fields) => {
                diagnostics.error(fields, "the fields of an event need names: write `struct Name { field: Type }`");
            }
        },
        Data::Enum(data) => diagnostics.error(
            data.enum_token,
            "an event is a struct, since its name stands for one set of fields: write one struct for each variant",
        ),
        Data::Union(data) => diagnostics.error(data.union_token, "an event is a struct with named fields"),
    }
    None
}

/// Whether the type is called `Option`. By name: all a macro can see, and only a remark in the catalog.
fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn fields_are_named_as_serde_names_them() {
        let input: DeriveInput = parse_quote! {
            #[event("a.b")]
            #[serde(rename_all = "camelCase")]
            struct A {
                /// Our number.
                payment_id: u64,
                #[serde(rename = "kind")]
                r#type: std::option::Option<String>,
                #[serde(skip)]
                cache: Vec<u8>,
                #[event(sensitive)]
                r#ref: Option<String>,
            }
        };
        let mut diagnostics = Diagnostics::new();
        let args = Args::parse(&input.attrs, "", &mut diagnostics);
        let model = Model::new(&input, &args, &mut diagnostics).expect("a struct");
        assert!(diagnostics.finish().is_ok());
        let fields: Vec<_> =
            model.payload().map(|field| (field.name.as_str(), field.type_text(), field.optional)).collect();
        assert_eq!(
            fields,
            [
                ("paymentId", "u64".to_owned(), false),
                ("kind", "std::option::Option<String>".to_owned(), true),
                ("ref", "Option<String>".to_owned(), true),
            ]
        );
        assert_eq!(model.fields[0].description, "Our number.");
        assert!(model.fields[3].sensitive.is_some());
    }
}
