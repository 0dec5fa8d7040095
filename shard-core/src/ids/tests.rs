use super::*;

#[test]
fn an_order_id_gives_back_what_it_was_made_of() {
    let id = OrderId::new(Millis(EPOCH.0 + 12_345), ShardId(1023), 4095);
    assert_eq!(
        (id.millis(), id.shard(), id.sequence()),
        (Millis(EPOCH.0 + 12_345), ShardId(1023), 4095)
    );
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(id.0 >> 63, 0);
}

#[test]
fn only_the_decimal_form_of_an_order_id_is_read() {
    for bad in [
        "",
        "+1",
        "-1",
        " 1",
        "01",
        "1a",
        "9223372036854775808",
        "99999999999999999999",
    ] {
        assert_eq!(bad.parse::<OrderId>(), Err(BadName), "{bad}");
    }
    assert_eq!("0".parse(), Ok(OrderId(0)));
}

#[test]
fn sku_names_sort_as_their_text_does() {
    let mut names: Vec<SkuName> = ["b", "a:b", "a", "a.b", "aa"].map(|n| n.parse().unwrap()).into();
    names.sort();
    let texts: Vec<&str> = names.iter().map(SkuName::as_str).collect();
    assert_eq!(texts, ["a", "a.b", "a:b", "aa", "b"]);
}

#[test]
fn names_outside_their_alphabet_are_refused() {
    for bad in [&b""[..], b"a b", b"a/b", "\u{e9}".as_bytes(), &[b'a'; 48]] {
        assert_eq!(SkuName::parse(bad), Err(BadName));
    }
    assert!(SkuName::parse(&[b'a'; 47]).is_ok());
    assert!(ChargeId::parse(&[b'!'; 63]).is_ok());
    assert_eq!(ChargeId::parse(b"a b"), Err(BadName));
}

#[test]
fn skus_of_one_group_live_on_one_shard() {
    let shard = |name: &str| shard_of(&name.parse().unwrap(), 64);
    assert_eq!(shard("TOUR-7:VIP"), shard("TOUR-7:FLOOR"));
    assert_eq!(shard("TOUR-7:VIP"), shard("TOUR-7"));
}

#[test]
fn the_shard_of_a_sku_never_changes() {
    // Golden values: data directories depend on them.
    let shards = ["SKU-1", "SKU-2", "SKU-3", "TOUR-7"].map(|n| shard_of(&n.parse().unwrap(), 64).0);
    assert_eq!(shards, GOLDEN);
}

const GOLDEN: [u16; 4] = [47, 17, 19, 30];
