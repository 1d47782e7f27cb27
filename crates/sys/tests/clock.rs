//! The clock never goes back, and is the one that other programs read.

use soliloop_sys::clock::monotonic;

#[test]
fn it_never_goes_back() {
    let mut last = monotonic();
    for _ in 0..10_000 {
        let now = monotonic();
        assert!(now >= last);
        last = now;
    }
    assert!(last > 0);
}
