use tasker_telemetry::prelude::*;

#[derive(Clone)]
struct Cart;
impl std::fmt::Display for Cart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cart")
    }
}
impl Cart {
    #[step(retry_limit = 3)]
    async fn charge(self) -> Result<(), String> {
        Err(format!("{self} is empty"))
    }
}

fn main() {}
