//! `#[step]` and `#[task]` on every form of function: they compile under denied lints, and behave as without the macros.
#![deny(warnings, missing_docs, unused, clippy::pedantic)]
#![deny(unused_qualifications, unreachable_pub, rust_2018_idioms, single_use_lifetimes)]
#![forbid(unsafe_code)]
#![allow(
    clippy::unused_async,
    clippy::unused_self,
    clippy::unused_unit,
    clippy::manual_assert,
    clippy::manual_unwrap_or,
    clippy::manual_unwrap_or_default,
    clippy::mixed_attributes_style,
    clippy::non_minimal_cfg,
    clippy::trivially_copy_pass_by_ref,
    reason = "the forms are tested, not the work in them"
)]

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::num::ParseIntError;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use tasker_telemetry::prelude::*;

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// Pending once.
async fn yield_now() {
    let mut polled = false;
    std::future::poll_fn(move |cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

type Boxed = Box<dyn Error + Send + Sync>;
type Outcome<T> = Result<T, Boxed>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

mod functions {
    use super::*;

    #[step]
    fn sync(a: u8, b: u8) -> u8 {
        a + b
    }

    #[step]
    async fn asynchronous(a: u8, b: u8) -> u8 {
        yield_now().await;
        a + b
    }

    #[task]
    async fn task(a: u8) -> u8 {
        asynchronous(a, sync(1, 2)).await
    }

    #[task]
    fn sync_task(a: u8) -> u8 {
        sync(a, 1)
    }

    #[step]
    fn nothing() {}

    #[step]
    async fn nothing_async() {}

    #[step]
    fn unit() -> () {}

    #[step]
    fn question_mark(text: &str) -> Result<u8, ParseIntError> {
        let n: u8 = text.parse()?;
        if n > 100 {
            return Ok(100);
        }
        Ok(n)
    }

    #[step]
    async fn question_mark_async(text: &str) -> Outcome<u8> {
        let n: u8 = text.parse()?;
        yield_now().await;
        if n > 100 {
            return Err("too big".into());
        }
        Ok(n)
    }

    #[step]
    fn option(text: &str) -> Option<u8> {
        let c = text.chars().next()?;
        u8::try_from(c).ok()
    }

    #[step]
    async fn any(text: &str) -> anyhow::Result<u8> {
        anyhow::ensure!(!text.is_empty(), "empty");
        Ok(text.parse()?)
    }

    #[step]
    async fn report(text: &str) -> eyre::Result<u8> {
        Ok(text.parse()?)
    }

    #[step]
    fn io() -> std::io::Result<()> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    #[test]
    fn they_return_what_they_would() {
        assert_eq!((sync(1, 2), block_on(asynchronous(1, 2)), block_on(task(1)), sync_task(4)), (3, 3, 4, 5));
        nothing();
        unit();
        block_on(nothing_async());
        assert_eq!(question_mark("7"), Ok(7));
        assert_eq!(question_mark("200"), Ok(100));
        assert!(question_mark("x").is_err());
        assert_eq!(block_on(question_mark_async("7")).unwrap(), 7);
        assert_eq!(block_on(question_mark_async("101")).unwrap_err().to_string(), "too big");
        assert_eq!((option("a"), option("")), (Some(b'a'), None));
        assert_eq!(block_on(any("9")).unwrap(), 9);
        assert_eq!(block_on(any("")).unwrap_err().to_string(), "empty");
        assert_eq!(block_on(report("9")).unwrap(), 9);
        assert_eq!(io().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }

    #[step]
    fn never(flag: bool) -> ! {
        if flag {
            panic!("never returns");
        }
        std::panic::resume_unwind(Box::new("never"))
    }

    #[step]
    async fn never_async(n: Arc<AtomicU32>) -> ! {
        loop {
            yield_now().await;
            n.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn never_is_never() {
        assert!(std::panic::catch_unwind(|| never(false)).is_err());
        let n = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&n);
        #[allow(unreachable_code, reason = "that it is proves the type")]
        let future = async {
            never_async(counted).await;
        };
        let mut future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
        for _ in 0..3 {
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(n.load(Ordering::Relaxed), 2);
    }
}

mod coercions {
    use super::*;

    #[step]
    fn tail() -> Result<Box<dyn Fn() -> u8>, Boxed> {
        Ok(Box::new(|| 3))
    }

    #[step]
    async fn tail_async() -> Result<Box<dyn Fn() -> u8>, Boxed> {
        Ok(Box::new(|| 3))
    }

    #[step]
    async fn in_return(early: bool) -> Result<Box<dyn Fn() -> u8>, Boxed> {
        if early {
            return Ok(Box::new(|| 1));
        }
        Ok(Box::new(|| 2))
    }

    #[step]
    fn bare(early: bool) -> Box<dyn Fn() -> u8> {
        if early {
            return Box::new(|| 1);
        }
        Box::new(|| 2)
    }

    #[step]
    async fn slices() -> &'static [u8] {
        &[1, 2]
    }

    #[step]
    fn pointers() -> fn(u8) -> u8 {
        |x| x + 1
    }

    #[test]
    fn values_become_what_the_signature_says() {
        assert_eq!(tail().unwrap()(), 3);
        assert_eq!(block_on(tail_async()).unwrap()(), 3);
        assert_eq!(block_on(in_return(true)).unwrap()(), 1);
        assert_eq!(block_on(in_return(false)).unwrap()(), 2);
        assert_eq!((bare(true)(), bare(false)()), (1, 2));
        assert_eq!(block_on(slices()), [1, 2]);
        assert_eq!(pointers()(1), 2);
    }
}

mod receivers {
    use super::*;

    #[derive(Clone, Default)]
    struct Shop {
        sold: u32,
        names: Vec<String>,
    }

    impl Shop {
        #[step]
        fn shared(&self) -> u32 {
            self.sold
        }

        #[step]
        async fn shared_async(&self, more: &u32) -> u32 {
            yield_now().await;
            self.sold + more
        }

        #[step]
        fn exclusive(&mut self) -> &mut u32 {
            self.sold += 1;
            &mut self.sold
        }

        #[step]
        async fn exclusive_async(&mut self, name: &str) -> Option<&mut String> {
            self.names.push(name.to_owned());
            yield_now().await;
            self.names.last_mut()
        }

        #[step]
        fn owned(self) -> Vec<String> {
            self.names
        }

        #[step]
        async fn owned_mut(mut self) -> Self {
            self.sold += 1;
            yield_now().await;
            self
        }

        #[step]
        async fn counted(self: Arc<Self>) -> usize {
            yield_now().await;
            Arc::strong_count(&self)
        }

        #[step]
        async fn boxed(self: Box<Self>) -> u32 {
            self.sold
        }

        #[step]
        fn pinned(self: Pin<&mut Self>) -> u32 {
            self.get_mut().sold += 1;
            1
        }

        #[step]
        async fn pinned_async(self: Pin<&mut Self>) -> u32 {
            yield_now().await;
            self.sold
        }

        #[task(name = "shop.run", id = self.sold, fields(sold = self.sold, names = self.names))]
        async fn run(&self) -> u32 {
            self.shared_async(&1).await
        }

        #[step]
        fn new() -> Self {
            Self::default()
        }
    }

    #[test]
    fn every_receiver() {
        let mut shop = Shop::new();
        *shop.exclusive() += 1;
        assert_eq!(shop.shared(), 2);
        assert_eq!(block_on(shop.shared_async(&1)), 3);
        block_on(shop.exclusive_async("a")).unwrap().push('b');
        assert_eq!(shop.clone().owned(), ["ab"]);
        assert_eq!(block_on(shop.clone().owned_mut()).sold, 3);
        assert_eq!(block_on(Arc::new(shop.clone()).counted()), 1);
        assert_eq!(block_on(Box::new(shop.clone()).boxed()), 2);
        assert_eq!(Pin::new(&mut shop).pinned(), 1);
        assert_eq!(block_on(Pin::new(&mut shop).pinned_async()), 3);
        assert_eq!(block_on(shop.run()), 4);
    }
}

mod traits {
    use super::*;

    trait Charge {
        const PRICE: u32;

        async fn charge(&self, count: u32) -> Result<u32, String>;

        #[step(name = "charge.twice")]
        async fn twice(&self, count: u32) -> Result<u32, String> {
            Ok(self.charge(count).await? * 2)
        }

        #[step]
        fn price(&self) -> u32 {
            Self::PRICE
        }
    }

    struct Card<const FEE: u32>;

    impl<const FEE: u32> Charge for Card<FEE> {
        const PRICE: u32 = 10;

        #[step]
        async fn charge(&self, count: u32) -> Result<u32, String> {
            yield_now().await;
            if count == 0 {
                return Err("nothing to charge".to_owned());
            }
            Ok(self.price() * count + FEE)
        }
    }

    impl Display for Card<0> {
        #[step]
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("card")
        }
    }

    #[async_trait::async_trait]
    trait Ship: Sync {
        async fn ship(&self, parcels: Vec<String>) -> Result<usize, Boxed>;

        #[step]
        async fn ship_one(&self, parcel: &str) -> Result<usize, Boxed> {
            self.ship(vec![parcel.to_owned()]).await
        }

        #[step(retry_limit = 2)]
        async fn again(&self, n: Arc<AtomicU32>) -> Result<u32, Boxed> {
            match n.fetch_add(1, Ordering::Relaxed) {
                0 => Err("first".into()),
                n => Ok(n),
            }
        }
    }

    struct Post<T> {
        tries: AtomicU32,
        stamp: T,
    }

    #[async_trait::async_trait]
    impl<T: Display + Send + Sync> Ship for Post<T> {
        #[step(retry_limit = 3, fields(count = parcels.len(), stamp = %self.stamp))]
        async fn ship(&self, mut parcels: Vec<String>) -> Result<usize, Boxed> {
            parcels.push(self.stamp.to_string());
            yield_now().await;
            if self.tries.fetch_add(1, Ordering::Relaxed) < 2 {
                return Err("lost".into());
            }
            Ok(parcels.len())
        }
    }

    #[async_trait::async_trait(?Send)]
    trait Local {
        async fn local(self, (a, b): (Rc<u8>, u8)) -> u8;
    }

    #[async_trait::async_trait(?Send)]
    impl Local for String {
        #[step(retry_limit = 2)]
        async fn local(self, (a, b): (Rc<u8>, u8)) -> u8 {
            yield_now().await;
            *a + b + u8::try_from(self.len()).unwrap_or(0)
        }
    }

    #[test]
    fn methods_of_traits() {
        assert_eq!(block_on(Card::<3>.charge(2)), Ok(23));
        assert_eq!(block_on(Card::<3>.twice(2)), Ok(46));
        assert_eq!(block_on(Card::<3>.twice(0)), Err("nothing to charge".to_owned()));
        assert_eq!(Card::<0>.to_string(), "card");
        let post = Post { tries: AtomicU32::new(0), stamp: 7 };
        assert_eq!(block_on(post.ship_one("x")).unwrap(), 2);
        assert_eq!(post.tries.load(Ordering::Relaxed), 3);
        assert_eq!(block_on(post.again(Arc::default())).unwrap(), 1);
        assert_eq!(block_on(String::from("abc").local((Rc::new(1), 2))), 6);
    }
}

mod generics {
    use super::*;

    #[step]
    async fn bounded<T, U>(items: Vec<T>, with: U) -> Vec<(T, U)>
    where
        T: Send,
        U: Clone + Send,
    {
        items.into_iter().map(|item| (item, with.clone())).collect()
    }

    #[step]
    fn constant<const N: usize>(items: [u8; N]) -> [u8; N] {
        let mut items = items;
        items.reverse();
        items
    }

    #[step]
    async fn longest<'a>(a: &'a str, b: &'a str) -> &'a str {
        yield_now().await;
        if a.len() > b.len() { a } else { b }
    }

    #[step]
    async fn exclusive<'a>(items: &'a mut Vec<u8>, more: &[u8]) -> &'a mut u8 {
        items.extend_from_slice(more);
        yield_now().await;
        &mut items[0]
    }

    #[step]
    fn split<'a>(text: &'a str, at: &str) -> Option<(&'a str, &'a str)> {
        text.split_once(at)
    }

    #[step]
    async fn impl_in(item: impl Display + Send, make: impl Fn(String) -> usize + Send) -> usize {
        yield_now().await;
        make(item.to_string())
    }

    #[step]
    fn impl_out(n: u8) -> impl Iterator<Item = u8> + Clone {
        (0..n).rev()
    }

    #[step]
    async fn impl_out_async(n: u8) -> impl Iterator<Item = u8> {
        0..n
    }

    #[step]
    fn impl_inside(n: u8) -> Result<impl Iterator<Item = u8>, ParseIntError> {
        Ok(0..n)
    }

    #[step]
    async fn error_in<E: From<ParseIntError> + Display>(text: &str) -> Result<u8, E> {
        Ok(text.parse::<u8>()?)
    }

    #[step]
    async fn not_send(n: Rc<Cell<u8>>) -> Rc<Cell<u8>> {
        yield_now().await;
        n.set(n.get() + 1);
        n
    }

    struct Borrow<'a> {
        text: &'a str,
    }

    impl<'a> Borrow<'a> {
        #[step]
        async fn text(&self) -> &'a str {
            self.text
        }

        #[step]
        async fn failing(&self) -> Result<(), Box<dyn Error + 'a>> {
            Err(Box::new(BorrowedError(self.text)))
        }

        #[step]
        fn failing_itself(&self) -> Result<(), BorrowedError<'a>> {
            Err(BorrowedError(self.text))
        }
    }

    #[derive(Debug)]
    struct BorrowedError<'a>(&'a str);
    impl Display for BorrowedError<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for BorrowedError<'_> {}

    #[test]
    fn generic_functions() {
        assert_eq!(block_on(bounded(vec![1, 2], "x")), [(1, "x"), (2, "x")]);
        assert_eq!(constant([1, 2, 3]), [3, 2, 1]);
        let long = String::from("long");
        let longest = {
            let short = String::from("s");
            block_on(longest(&long, &short)).to_owned()
        };
        assert_eq!(longest, "long");
        let mut items = vec![];
        *block_on(exclusive(&mut items, &[1, 2])) = 9;
        assert_eq!(items, [9, 2]);
        assert_eq!(split("a=b", "="), Some(("a", "b")));
        assert_eq!(block_on(impl_in(123, |text| text.len())), 3);
        assert_eq!(impl_out(3).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(block_on(impl_out_async(2)).count(), 2);
        assert_eq!(impl_inside(2).unwrap().count(), 2);
        assert!(block_on(error_in::<ParseIntError>("x")).is_err());
        assert_eq!(block_on(not_send(Rc::new(Cell::new(1)))).get(), 2);
        let text = String::from("text");
        let borrow = Borrow { text: &text };
        assert_eq!(block_on(borrow.text()), "text");
        assert_eq!(block_on(borrow.failing()).unwrap_err().to_string(), "text");
        assert_eq!(borrow.failing_itself().unwrap_err().to_string(), "text");
    }

    #[test]
    fn send_is_neither_asked_nor_lost() {
        fn is_send<T: Send>(_: &T) {}
        is_send(&bounded(vec![1], 2));
        is_send(&impl_in("x", |text| text.len()));
        is_send(&longest("a", "b"));
        is_send(&error_in::<String2>("1"));
    }

    #[derive(Debug)]
    struct String2;
    impl From<ParseIntError> for String2 {
        fn from(_: ParseIntError) -> Self {
            Self
        }
    }
    impl Display for String2 {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("x")
        }
    }
}

mod futures {
    use super::*;

    #[step]
    fn opaque(text: &str) -> impl Future<Output = Result<u8, Boxed>> + Send + use<'_> {
        async move {
            yield_now().await;
            Ok(text.parse()?)
        }
    }

    #[step]
    fn opaque_of_two(text: &str) -> impl Future<Output = Result<u8, Boxed>> {
        let length = text.len();
        async move {
            if length == 0 {
                Err("empty")?;
            }
            Ok(u8::try_from(length)?)
        }
    }

    #[step(retry_limit = 3)]
    fn opaque_again(n: Arc<AtomicU32>) -> impl Future<Output = Result<u32, Boxed>> {
        async move {
            match n.fetch_add(1, Ordering::Relaxed) {
                2 => Ok(2),
                n => Err(n.to_string().into()),
            }
        }
    }

    #[step]
    fn pinned<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = Result<u8, Boxed>> + Send + 'a>> {
        Box::pin(async move {
            yield_now().await;
            Ok(text.parse()?)
        })
    }

    #[step]
    fn alias(text: &str) -> BoxFuture<'_, Result<u8, Boxed>> {
        Box::pin(async move {
            yield_now().await;
            Ok(text.parse()?)
        })
    }

    #[step]
    fn prepared(text: &str) -> BoxFuture<'_, Result<usize, Boxed>> {
        let length = text.len();
        if length == 0 {
            return Box::pin(async { Err("empty".into()) });
        }
        Box::pin(async move { Ok(length) })
    }

    #[task(id = text)]
    fn prepared_task(text: &str) -> BoxFuture<'_, Result<usize, Boxed>> {
        let length = text.len();
        Box::pin(async move { Ok(length) })
    }

    #[step]
    fn local(n: Rc<u8>) -> Pin<Box<dyn Future<Output = u8>>> {
        let n = *n;
        Box::pin(async move { n })
    }

    #[step]
    fn ready(n: u8) -> std::future::Ready<u8> {
        std::future::ready(n)
    }

    #[step]
    fn countdown(n: u8) -> BoxFuture<'static, u8> {
        Box::pin(async move { if n == 0 { 0 } else { countdown(n - 1).await + 1 } })
    }

    #[step]
    async fn recursive(n: u8) -> Result<u8, String> {
        if n == 0 {
            return Ok(0);
        }
        Ok(Box::pin(recursive(n - 1)).await? + 1)
    }

    #[step(retry_limit = 2)]
    async fn recursive_again(n: u8) -> Result<u8, String> {
        if n == 0 {
            return Ok(0);
        }
        Ok(Box::pin(recursive_again(n - 1)).await? + 1)
    }

    #[test]
    fn functions_that_return_futures() {
        assert_eq!(block_on(opaque("7")).unwrap(), 7);
        assert_eq!(block_on(opaque_of_two("abc")).unwrap(), 3);
        assert_eq!(block_on(opaque_of_two("")).unwrap_err().to_string(), "empty");
        assert_eq!(block_on(opaque_again(Arc::default())).unwrap(), 2);
        assert_eq!(block_on(pinned("7")).unwrap(), 7);
        assert_eq!(block_on(alias("7")).unwrap(), 7);
        assert_eq!(block_on(prepared("abc")).unwrap(), 3);
        assert_eq!(block_on(prepared("")).unwrap_err().to_string(), "empty");
        assert_eq!(block_on(prepared_task("abc")).unwrap(), 3);
        assert_eq!(block_on(local(Rc::new(3))), 3);
        assert_eq!(block_on(ready(3)), 3);
        assert_eq!(block_on(countdown(3)), 3);
        assert_eq!(block_on(recursive(3)), Ok(3));
        assert_eq!(block_on(recursive_again(3)), Ok(3));
    }
}

mod arguments {
    use super::*;

    struct Pair {
        left: String,
        right: u8,
    }

    #[step(fields(left, n = right, both = format!("{left}{right}")))]
    async fn patterns(Pair { left, right }: Pair, (mut a, _): (u8, u8), [first, ..]: [u8; 3], _: u8) -> String {
        a += first;
        yield_now().await;
        format!("{left}{right}{a}")
    }

    #[step(retry_limit = 2)]
    async fn patterns_again(
        (mut a, b): (String, u8),
        [first, .., _]: [u8; 3],
        &c: &u8,
        mut tries: Arc<AtomicU32>,
    ) -> Result<String, String> {
        a.push('!');
        let n = Arc::make_mut_or_get(&mut tries).fetch_add(1, Ordering::Relaxed);
        if n == 0 {
            return Err(a);
        }
        Ok(format!("{a}{b}{first}{c}"))
    }

    trait MakeMutOrGet<T> {
        fn make_mut_or_get(this: &mut Arc<T>) -> &T;
    }
    impl<T> MakeMutOrGet<T> for Arc<T> {
        fn make_mut_or_get(this: &mut Self) -> &T {
            this
        }
    }

    #[step]
    fn mutable(mut n: u8, mut text: String) -> String {
        n += 1;
        text.push_str(&n.to_string());
        text
    }

    #[step]
    async fn r#type(r#fn: u8, body: u8, class: u8, fields: u8, retry: u8, value: u8, last: u8) -> u8 {
        r#fn + body + class + fields + retry + value + last
    }

    #[step(retry_limit = 3)]
    async fn same_names(body: u8, class: u8, fields: u8, retry: u8, value: u8, last: u8, kept_0: u8) -> u8 {
        body + class + fields + retry + value + last + kept_0
    }

    #[step(fields(r#fn, last))]
    fn raw_fields(r#fn: u8, last: u8) -> u8 {
        r#fn + last
    }

    #[step(retry_limit = 2)]
    async fn configured(#[cfg(any())] absent: Absent, #[cfg(all())] present: String) -> String {
        present
    }

    #[step]
    fn configured_once(#[cfg(any())] absent: Absent, a: String, #[cfg(all())] b: String) -> String {
        a + &b
    }

    #[step(retry_limit = 2)]
    fn attributes(#[allow(unused_variables)] unused: u8, #[expect(unused_mut)] mut odd: u8) -> u8 {
        odd
    }

    #[test]
    fn every_argument() {
        let pair = Pair { left: "l".to_owned(), right: 1 };
        assert_eq!(block_on(patterns(pair, (1, 2), [3, 4, 5], 6)), "l14");
        assert_eq!(
            block_on(patterns_again(("a".to_owned(), 1), [2, 3, 4], &5, Arc::default())),
            Ok("a!125".to_owned())
        );
        assert_eq!(mutable(1, "n".to_owned()), "n2");
        assert_eq!(block_on(r#type(1, 1, 1, 1, 1, 1, 1)), 7);
        assert_eq!(block_on(same_names(1, 1, 1, 1, 1, 1, 1)), 7);
        assert_eq!(raw_fields(1, 2), 3);
        assert_eq!(block_on(configured("x".to_owned())), "x");
        assert_eq!(configured_once("x".to_owned(), "y".to_owned()), "xy");
        assert_eq!(attributes(1, 2), 2);
    }
}

mod retries {
    use super::*;

    #[derive(Clone, Default)]
    struct Counter {
        tries: Arc<AtomicU32>,
    }

    impl Counter {
        fn next(&self) -> Result<u32, String> {
            match self.tries.fetch_add(1, Ordering::Relaxed) + 1 {
                3 => Ok(3),
                n => Err(format!("try {n}")),
            }
        }

        #[step(retry_limit = 3)]
        async fn shared(&self) -> Result<u32, String> {
            yield_now().await;
            self.next()
        }

        #[step(retry_limit = 3, backoff = "none")]
        async fn owned(mut self, label: String) -> Result<String, String> {
            self.tries = Arc::clone(&self.tries);
            let inner = |this: &Self| this.next();
            let n = inner(&self)?;
            Ok(format!("{label} {n} {}", self.tries.load(Ordering::Relaxed)))
        }

        #[step(retry_limit = 3)]
        fn counted(self: Arc<Self>) -> Result<u32, String> {
            self.next()
        }

        #[step(retry_limit = LIMIT)]
        fn constant(&self) -> Result<u32, String> {
            self.next()
        }
    }

    const LIMIT: u32 = 1 + 2;

    fn only_first(error: &String) -> bool {
        error == "try 1"
    }

    #[step(retry_limit = 5, retry_if = only_first)]
    async fn judged(counter: &Counter) -> Result<u32, String> {
        counter.next()
    }

    #[step(retry_limit = 2)]
    fn sync(counter: Counter, label: &str) -> Result<u32, String> {
        let n = counter.next()?;
        assert_eq!(label, "x");
        Ok(n)
    }

    #[step(retry_limit = 3)]
    async fn closure(counter: impl Fn() -> Result<u32, String> + Clone) -> Result<u32, String> {
        counter()
    }

    #[test]
    fn the_body_runs_again() {
        let counter = Counter::default();
        assert_eq!(block_on(counter.shared()), Ok(3));
        assert_eq!(block_on(Counter::default().owned("x".to_owned())), Ok("x 3 3".to_owned()));
        assert_eq!(Arc::new(Counter::default()).counted(), Ok(3));
        assert_eq!(Counter::default().constant(), Ok(3));
        assert_eq!(block_on(judged(&Counter::default())), Err("try 2".to_owned()));
        assert_eq!(sync(Counter::default(), "x"), Err("try 2".to_owned()));
        let counter = Counter::default();
        assert_eq!(block_on(closure(move || counter.next())), Ok(3));
    }

    #[step(retry_limit = 3)]
    async fn originals(sender: std::sync::mpsc::Sender<u8>, fail: bool) -> Result<(), u8> {
        sender.send(1).map_err(|_| 0)?;
        if fail { Err(1) } else { Ok(()) }
    }

    #[test]
    fn the_last_attempt_owns_the_arguments() {
        let (sender, receiver) = std::sync::mpsc::channel();
        assert_eq!(block_on(originals(sender, true)), Err(1));
        assert_eq!(receiver.iter().count(), 3);
    }
}

mod drops {
    use super::*;

    thread_local!(static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) });

    struct Noisy(&'static str);
    impl Drop for Noisy {
        fn drop(&mut self) {
            LOG.with_borrow_mut(|log| log.push(self.0));
        }
    }

    fn log() -> Vec<&'static str> {
        LOG.take()
    }

    async fn plain(a: Noisy, _guard: Noisy, c: Noisy) -> usize {
        let _local = Noisy("local");
        yield_now().await;
        a.0.len() + c.0.len()
    }

    #[step]
    async fn step(a: Noisy, _guard: Noisy, c: Noisy) -> usize {
        let _local = Noisy("local");
        yield_now().await;
        a.0.len() + c.0.len()
    }

    #[step]
    fn sync(a: Noisy, _guard: Noisy, c: Noisy) -> usize {
        let _local = Noisy("local");
        a.0.len() + c.0.len()
    }

    impl Noisy {
        #[step]
        async fn method(self, (b, c): (Noisy, Noisy), d: Noisy) -> usize {
            yield_now().await;
            b.0.len() + self.0.len() + d.0.len() + c.0.len()
        }

        async fn method_plain(self, (b, c): (Noisy, Noisy), d: Noisy) -> usize {
            yield_now().await;
            b.0.len() + self.0.len() + d.0.len() + c.0.len()
        }
    }

    fn three() -> (Noisy, Noisy, Noisy) {
        (Noisy("a"), Noisy("b"), Noisy("c"))
    }

    #[test]
    fn arguments_are_dropped_in_the_same_order() {
        let (a, b, c) = three();
        block_on(plain(a, b, c));
        let expected = log();
        assert_eq!(expected, ["local", "c", "b", "a"]);
        let (a, b, c) = three();
        block_on(step(a, b, c));
        assert_eq!(log(), expected);
        let (a, b, c) = three();
        sync(a, b, c);
        assert_eq!(log(), expected);
        let (a, b, c) = three();
        block_on(Noisy("self").method_plain((a, b), c));
        let expected = log();
        let (a, b, c) = three();
        block_on(Noisy("self").method((a, b), c));
        assert_eq!(log(), expected);
    }

    #[test]
    fn a_dropped_future_drops_its_arguments() {
        let (a, b, c) = three();
        let mut future = Box::pin(step(a, b, c));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(log(), [""; 0]);
        drop(future);
        let stepped = log();
        let (a, b, c) = three();
        let mut future = Box::pin(plain(a, b, c));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(future);
        assert_eq!(stepped, log());
    }
}

mod made_by_macros {
    use super::*;

    macro_rules! function {
        ($name:ident, $ty:ty, $body:block) => {
            #[step]
            async fn $name(_: $ty) -> $ty $body
        };
        ($name:ident, $out:expr) => {
            #[step]
            fn $name() -> u8 {
                $out
            }
        };
    }
    function!(identity, u8, { 7 });
    function!(seven, 7);

    macro_rules! with_argument {
        ($arg:ident) => {
            #[step(retry_limit = 2)]
            async fn twice($arg: String, other: &str) -> String {
                format!("{}{}", $arg, other)
            }
        };
    }
    with_argument!(text);

    #[test]
    fn functions_made_by_macros() {
        assert_eq!(block_on(identity(1)), 7);
        assert_eq!(seven(), 7);
        assert_eq!(block_on(twice("a".to_owned(), "b")), "ab");
    }
}

mod kept {
    use super::*;

    /// Documented.
    #[step]
    #[must_use]
    #[inline]
    #[cfg(all())]
    #[allow(clippy::let_and_return)]
    pub(super) extern "C" fn attributes() -> u8 {
        #![allow(unused_variables)]
        let unused = 1;
        let seven = 7;
        seven
    }

    #[step]
    pub(crate) async fn nested(n: u8) -> u8 {
        #[step]
        async fn inner(n: u8) -> u8 {
            n + 1
        }
        struct Local;
        impl Local {
            #[step(name = "local")]
            fn call(self) -> u8 {
                1
            }
        }
        inner(n).await + Local.call()
    }

    #[step]
    async fn empty_block() {}

    #[step]
    async fn only_a_loop(n: u8) -> u8 {
        loop {
            if n > 0 {
                break n;
            }
            yield_now().await;
        }
    }

    #[step]
    async fn only_a_match(n: Option<u8>) -> u8 {
        match n {
            Some(n) => n,
            None => 0,
        }
    }

    #[step]
    async fn ends_in_a_temporary(cell: &RefCell<Vec<u8>>) -> usize {
        cell.borrow().len()
    }

    #[step]
    fn locked(cell: &std::sync::Mutex<Vec<u8>>) -> Option<u8> {
        cell.lock().ok()?.first().copied()
    }

    #[test]
    fn what_the_user_wrote_is_kept() {
        let pointer: extern "C" fn() -> u8 = attributes;
        assert_eq!(pointer(), 7);
        assert_eq!(block_on(nested(1)), 3);
        block_on(empty_block());
        assert_eq!(block_on(only_a_loop(1)), 1);
        assert_eq!(block_on(only_a_match(None)), 0);
        assert_eq!(block_on(ends_in_a_temporary(&RefCell::default())), 0);
        assert_eq!(locked(&std::sync::Mutex::default()), None);
    }
}

mod registered {
    use tasker_telemetry::__private::{StepEntry, TaskEntry, inventory};

    fn spec(name: &str) -> &'static tasker_telemetry::__private::StepSpec {
        let found: Vec<_> = inventory::iter::<StepEntry>.into_iter().filter(|entry| entry.0.name == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].0
    }

    #[test]
    fn every_form_registers_itself_once() {
        // Generic, trait default, nested, in a macro, returning a future; called or not.
        for name in
            ["bounded", "price", "charge.twice", "inner", "identity", "prepared", "never", "asynchronous", "type"]
        {
            assert_eq!(spec(name).function, name.rsplit('.').next().unwrap_or(name));
        }
        let shop = inventory::iter::<TaskEntry>.into_iter().find(|entry| entry.0.name == "shop.run").unwrap().0;
        assert_eq!((shop.function, shop.max_concurrent_steps, shop.fields), ("run", 0, &["sold", "names"][..]));
    }

    #[test]
    fn the_spec_tells_where_and_what() {
        let documented = spec("attributes_of_pub");
        assert_eq!(documented.description, "First line.\n\nSecond paragraph.");
        assert_eq!(documented.source.module, module_path!());
        assert_eq!(documented.source.file, file!());
        assert_eq!(documented.source.line, super::line_of_documented());
        assert_eq!(documented.retry_limit, 4);
    }

    /// First line.
    ///
    /// Second paragraph.
    #[super::step(retry_limit = 4, backoff = "fixed")]
    #[rustfmt::skip]
    fn attributes_of_pub(line: &u32) -> u32 { *line - line!() }

    #[test]
    fn the_line_is_the_functions() {
        assert_eq!(attributes_of_pub(&spec("attributes_of_pub").source.line), 0);
    }
}

fn line_of_documented() -> u32 {
    use tasker_telemetry::__private::{StepEntry, inventory};
    inventory::iter::<StepEntry>.into_iter().find(|e| e.0.name == "attributes_of_pub").map_or(0, |e| e.0.source.line)
}
