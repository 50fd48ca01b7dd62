//! A shop that takes orders, and tests that look at its spans.
//!
//! `cargo run --example orders` takes a few orders; `OTEL_TRACES_EXPORTER=tree` shows their traces
//! as trees. `cargo test --features testing --example orders` runs the tests below, in parallel:
//! each captures the spans of its own thread, and nothing is global. A program of yours has the
//! feature in its dev-dependencies alone, and `#[cfg(test)]` is enough.

use std::collections::BTreeMap;
use std::fmt;

use otel_setup::RecordErr as _;
use tracing::{info, instrument, warn};

fn main() -> Result<(), otel_setup::Error> {
    let _guard = otel_setup::setup_tracing("orders")?;
    let mut shop = Shop::new([("tea", 20), ("anvil", 1)]);
    for (item, count) in [("tea", 2), ("anvil", 1), ("anvil", 1), ("unicorn", 1)] {
        match shop.order(item, count) {
            Ok(price) => println!("{count} {item}: {price}"),
            Err(refusal) => println!("{count} {item}: {refusal}"),
        }
    }
    Ok(())
}

/// Items and how many of each there are.
#[derive(Debug)]
struct Shop {
    stock: BTreeMap<&'static str, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Unknown,
    SoldOut { left: u32 },
}

impl Shop {
    fn new<const N: usize>(stock: [(&'static str, u32); N]) -> Self {
        Self { stock: stock.into() }
    }

    /// Takes an order, and says what it costs.
    #[instrument(skip(self), fields(price))]
    fn order(&mut self, item: &str, count: u32) -> Result<u32, Refusal> {
        self.reserve(item, count)?;
        let price = tracing::info_span!("price", otel.kind = "client", count).in_scope(|| {
            info!("the price list was read");
            count * 7
        });
        tracing::Span::current().record("price", price);
        Ok(price)
    }

    #[instrument(skip(self))]
    fn reserve(&mut self, item: &str, count: u32) -> Result<(), Refusal> {
        let left = self.stock.get_mut(item).ok_or(Refusal::Unknown).record_err()?;
        if *left < count {
            return Err(Refusal::SoldOut { left: *left }).record_err();
        }
        *left -= count;
        if *left == 0 {
            warn!(item, "that was the last");
        }
        Ok(())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not in this shop"),
            Self::SoldOut { left } => write!(f, "only {left} left"),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::Barrier;

    use otel_setup::SpanKind;
    use otel_setup::testing::{capture, event, span};

    use super::*;

    #[test]
    fn an_order_reserves_and_then_asks_for_the_price() {
        let capture = capture();
        assert_eq!(Shop::new([("tea", 20)]).order("tea", 2), Ok(14));

        capture.assert(
            span("order")
                .root()
                .with_attribute("price", 14)
                .without_error()
                .with_child(span("reserve").with_attribute("item", "tea"))
                .with_child(span("price").with_kind(SpanKind::Client))
                .without_other_children(),
        );
    }

    #[test]
    fn who_buys_the_last_is_warned_of() {
        let capture = capture();
        assert_eq!(Shop::new([("anvil", 1)]).order("anvil", 1), Ok(7));
        let last = event("that was the last").with_attribute("item", "anvil");
        capture.assert(span("reserve").child_of("order").with_event(last));
    }

    #[test]
    fn what_is_sold_out_has_no_price() {
        let capture = capture();
        assert_eq!(Shop::new([("tea", 1)]).order("tea", 2), Err(Refusal::SoldOut { left: 1 }));
        capture.assert(span("reserve").with_error_of("only 1 left").with_event("exception"));
        capture.assert(span("order").without_attribute("price"));
        capture.assert_none(span("price"));
    }

    #[test]
    fn the_whole_trace_of_an_order_is_this() {
        let capture = capture();
        assert_eq!(Shop::new([("tea", 20)]).order("tea", 3), Ok(21));
        // nothing in it differs from run to run
        assert_eq!(
            capture.snapshot(),
            r#"
order
  count=3  item="tea"  price=21
  price (client)
    count=3
    - the price list was read  level="INFO"
  reserve
    count=3  item="tea"
"#
        );
    }

    #[tokio::test]
    async fn the_tasks_of_a_test_belong_to_it() {
        let capture = capture();
        let task = tokio::spawn(async { Shop::new([("tea", 1)]).order("unicorn", 1) });
        assert_eq!(task.await.expect("it does not panic"), Err(Refusal::Unknown));
        capture.assert(span("reserve").with_error_of("not in this shop"));
    }

    /// As the tests of this module do, but for certain at the same time.
    #[test]
    fn captures_at_the_same_time_see_nothing_of_each_other() {
        let together = Barrier::new(8);
        let one = |count: u32| {
            let capture = capture();
            together.wait();
            for _ in 0..100 {
                let _ = Shop::new([("tea", 20)]).order("tea", count);
            }
            together.wait();
            assert_eq!(capture.spans().len(), 300);
            for span in capture.spans().iter().filter(|span| span.name == "order") {
                let attribute = |a: &&opentelemetry::KeyValue| a.key.as_str() == "count";
                let of = span.attributes.iter().find(attribute).expect("it is a field");
                assert_eq!(of.value.as_str(), count.to_string());
            }
        };
        std::thread::scope(|scope| {
            for count in 1..=8 {
                scope.spawn(move || one(count));
            }
        });
    }
}
