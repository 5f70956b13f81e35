//! The masked form of a payload's fields: what a typed subscriber gets to see of a sensitive one.
//!
//! Which fields are masked is decided by the filter and by `#[event(sensitive)]`, not here. `#[derive(Event)]` asks
//! [`Masked`] for each field, because a field may be of any type: a type with a masked form ([`Mask`]) gets the mask, one
//! with a [`Default`] its default, and another none at all: the publisher then withholds the whole typed value.

use std::borrow::Cow;
use std::sync::Arc;

/// A type that can hold the mask.
pub trait Mask {
    /// Puts the mask in the place of whatever it holds.
    fn mask(&mut self, mask: &str);
}

impl Mask for String {
    fn mask(&mut self, mask: &str) {
        mask.clone_into(self);
    }
}

impl Mask for Cow<'static, str> {
    fn mask(&mut self, mask: &str) {
        *self = Cow::Owned(mask.to_owned());
    }
}

impl Mask for Box<str> {
    fn mask(&mut self, mask: &str) {
        *self = mask.into();
    }
}

impl Mask for Arc<str> {
    fn mask(&mut self, mask: &str) {
        *self = mask.into();
    }
}

impl Mask for serde_json::Value {
    fn mask(&mut self, mask: &str) {
        *self = Self::String(mask.to_owned());
    }
}

/// `None` stays `None`: that there is no value is not the secret.
impl<M: Mask> Mask for Option<M> {
    fn mask(&mut self, mask: &str) {
        if let Some(value) = self {
            value.mask(mask);
        }
    }
}

/// Each element is masked; their number stays.
impl<M: Mask> Mask for Vec<M> {
    fn mask(&mut self, mask: &str) {
        for value in self {
            value.mask(mask);
        }
    }
}

/// A field to be masked, in the way its type allows. The compiler takes the first of [`MaskByMask`], [`MaskByDefault`],
/// [`MaskNone`] that holds, because method lookup tries `&mut &mut Masked` before `&mut Masked`. A `sensitive` field must
/// have a masked form: generated code then imports [`MaskRequired`] in the place of [`MaskNone`].
#[derive(Debug)]
pub struct Masked<'a, T>(pub &'a mut T);

/// First choice: the type can hold the mask.
pub trait MaskByMask {
    /// Masks the field. Whether that was possible.
    fn mask(&mut self, mask: &str) -> bool;
}

#[allow(clippy::mut_mut, reason = "the number of references is the order of the choices")]
impl<T: Mask> MaskByMask for &mut &mut Masked<'_, T> {
    fn mask(&mut self, mask: &str) -> bool {
        self.0.mask(mask);
        true
    }
}

/// Second choice: the type has a default.
pub trait MaskByDefault {
    /// Masks the field. Whether that was possible.
    fn mask(&mut self, mask: &str) -> bool;
}

impl<T: Default> MaskByDefault for &mut Masked<'_, T> {
    fn mask(&mut self, _mask: &str) -> bool {
        *self.0 = T::default();
        true
    }
}

/// Last choice: the type has no masked form.
pub trait MaskNone {
    /// Masks the field. Whether that was possible.
    fn mask(&mut self, mask: &str) -> bool;
}

impl<T> MaskNone for Masked<'_, T> {
    fn mask(&mut self, _mask: &str) -> bool {
        false
    }
}

/// Last choice for a `sensitive` field: an error, in words.
pub trait MaskRequired<T> {
    /// Masks the field. Whether that was possible.
    fn mask(&mut self, mask: &str) -> bool
    where
        T: MaskedForm;
}

impl<T> MaskRequired<T> for Masked<'_, T> {
    fn mask(&mut self, _mask: &str) -> bool
    where
        T: MaskedForm,
    {
        false
    }
}

/// What the type of a `sensitive` field lacks. Implemented by nothing: whoever gets here has neither of the other two.
#[diagnostic::on_unimplemented(
    message = "a `sensitive` field needs a type that can be masked, which `{Self}` is not",
    label = "cannot be masked",
    note = "these can: `String`, `Cow<'static, str>`, `Box<str>`, `Arc<str>`, `serde_json::Value`, `Option` and `Vec` of them, and every type that implements `Default`"
)]
pub trait MaskedForm {}

/// What the filter has to know of a field's type: how much of what it is looking for the type can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Numbers and the like: nothing but what the field's name says.
    Plain,
    /// A text.
    Text,
    /// A type that says of itself that it is a secret.
    Secret,
    /// Anything, with names of its own.
    Nested,
}

impl Shape {
    /// That of a field whose JSON a function of the user's writes.
    #[must_use]
    pub const fn written_by_hand(self) -> Self {
        match self {
            Self::Secret => Self::Secret,
            _ => Self::Nested,
        }
    }
}

/// A type whose shape is known.
pub trait KnownShape {
    /// The shape.
    const SHAPE: Shape;
}

macro_rules! known {
    ($($shape:ident: $($ty:ty)*;)*) => { $( $( impl KnownShape for $ty { const SHAPE: Shape = Shape::$shape; } )* )* };
}
known! {
    Plain: bool i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 crate::time::Timestamp;
    Text: str String char Cow<'_, str>;
}

macro_rules! known_around {
    ($($ty:ty),*) => { $( impl<T: KnownShape + ?Sized> KnownShape for $ty { const SHAPE: Shape = T::SHAPE; } )* };
}
known_around!(&T, Box<T>, Arc<T>);

impl<T: KnownShape> KnownShape for Option<T> {
    const SHAPE: Shape = T::SHAPE;
}

impl<T: KnownShape> KnownShape for Vec<T> {
    const SHAPE: Shape = T::SHAPE;
}

impl<T: KnownShape, const N: usize> KnownShape for [T; N] {
    const SHAPE: Shape = T::SHAPE;
}

/// A field whose shape is asked for, in the same way as [`Masked`].
#[derive(Debug)]
pub struct Shaped<'a, T>(pub &'a T);

/// First choice: the shape is known.
pub trait ShapeKnown {
    /// The shape.
    fn shape(&self) -> Shape;
}

impl<T: KnownShape> ShapeKnown for &Shaped<'_, T> {
    fn shape(&self) -> Shape {
        T::SHAPE
    }
}

/// Last choice: it may be any.
pub trait ShapeAny {
    /// The shape.
    fn shape(&self) -> Shape;
}

impl<T> ShapeAny for Shaped<'_, T> {
    fn shape(&self) -> Shape {
        Shape::Nested
    }
}

#[cfg(feature = "secrecy")]
mod of_secrecy {
    use secrecy::zeroize::Zeroize;
    use secrecy::{SecretBox, SecretString};

    use super::{KnownShape, Mask, Shape};

    impl<T: Zeroize + ?Sized> KnownShape for SecretBox<T> {
        const SHAPE: Shape = Shape::Secret;
    }

    /// What was in it is wiped.
    impl Mask for SecretString {
        fn mask(&mut self, mask: &str) {
            *self = Self::from(mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Cow, Mask, MaskByDefault as _, MaskByMask as _, MaskNone as _, Masked};
    use super::{Shape, ShapeAny as _, ShapeKnown as _, Shaped};

    fn masked<T: Mask>(mut value: T) -> T {
        value.mask("[FILTERED]");
        value
    }

    #[test]
    fn text_becomes_the_mask() {
        assert_eq!(masked("4242".to_owned()), "[FILTERED]");
        assert_eq!(masked(Cow::Borrowed("4242")), "[FILTERED]");
        assert_eq!(&*masked::<Box<str>>("4242".into()), "[FILTERED]");
        assert_eq!(&*masked::<Arc<str>>("4242".into()), "[FILTERED]");
        assert_eq!(masked(serde_json::json!({ "pan": "4242" })), "[FILTERED]");
    }

    #[test]
    fn the_shape_around_the_text_stays() {
        assert_eq!(masked(None::<String>), None);
        assert_eq!(masked(Some("4242".to_owned())).as_deref(), Some("[FILTERED]"));
        assert_eq!(masked(vec!["a".to_owned(), "b".to_owned()]), ["[FILTERED]", "[FILTERED]"]);
    }

    #[test]
    #[allow(clippy::needless_borrow, reason = "the form of generated code")]
    fn a_shape_is_known_or_any() {
        struct Opaque;

        assert_eq!((&&Shaped(&7_u8)).shape(), Shape::Plain);
        assert_eq!((&&Shaped(&Some(vec!["a".to_owned()]))).shape(), Shape::Text);
        assert_eq!((&&Shaped(&Opaque)).shape(), Shape::Nested);
        assert_eq!((&&Shaped(&Some(Opaque))).shape(), Shape::Nested);
        assert_eq!((&&Shaped(&serde_json::json!({}))).shape(), Shape::Nested);
    }

    #[test]
    #[allow(clippy::needless_borrow, reason = "the form of generated code")]
    fn each_type_is_masked_in_its_own_way() {
        struct Opaque(u8);

        let (mut text, mut number, mut opaque) = ("4242".to_owned(), 4242_u16, Opaque(42));
        assert!((&mut &mut &mut Masked(&mut text)).mask("[FILTERED]"));
        assert!((&mut &mut &mut Masked(&mut number)).mask("[FILTERED]"));
        assert!(!(&mut &mut &mut Masked(&mut opaque)).mask("[FILTERED]"));
        assert_eq!((text.as_str(), number, opaque.0), ("[FILTERED]", 0, 42));
    }
}
