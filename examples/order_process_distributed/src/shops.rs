//! The shops of this process: one for each seed and speed that orders come with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::gateway::Gateway;
use crate::parcel::Parcel;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shops(Arc<Mutex<BySeedAndSpeed>>);

type BySeedAndSpeed = HashMap<(u64, u64), Arc<Gateway>>;

impl Shops {
    /// The shop that this order was made for.
    pub(crate) fn of(&self, parcel: &Parcel) -> Arc<Gateway> {
        let mut shops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (parcel.seed, parcel.speed.to_bits());
        Arc::clone(shops.entry(key).or_insert_with(|| Arc::new(Gateway::new(parcel.seed, parcel.speed))))
    }
}
