use tasker_telemetry::prelude::*;

struct Cart(u8);
impl Cart {
    #[step(retry_limit = 3)]
    async fn charge(&mut self) -> Result<(), String> {
        self.0 += 1;
        Ok(())
    }

    #[step(retry_limit = 3)]
    async fn pinned(self: std::pin::Pin<&mut Self>) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
