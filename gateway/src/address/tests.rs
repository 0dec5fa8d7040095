use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn proxies(networks: &[&str]) -> TrustedProxies {
    TrustedProxies::new(networks.iter().map(|text| text.parse().unwrap()).collect())
}

fn client(proxies: &TrustedProxies, peer: &str, fields: &[&str]) -> IpAddr {
    proxies.client(ip(peer), fields.iter().map(|field| field.as_bytes()))
}

#[test]
fn networks_are_parsed_strictly() {
    for good in [
        "10.0.0.0/8",
        "0.0.0.0/0",
        "::/0",
        "2001:db8::/32",
        "192.0.2.7",
        "::1",
    ] {
        assert!(good.parse::<Network>().is_ok(), "{good}");
    }
    for bad in [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0/8",
        "::/129",
        "",
        "localhost",
        "10.0.0.0/-1",
    ] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
    assert!(
        "10.1.0.0/8"
            .parse::<Network>()
            .unwrap_err()
            .contains("10.0.0.0/8")
    );
}

#[test]
fn a_network_holds_its_addresses_and_no_others() {
    let network: Network = "10.16.0.0/12".parse().unwrap();
    assert!(network.contains(ip("10.31.255.255")));
    assert!(network.contains(ip("::ffff:10.16.0.1")));
    assert!(!network.contains(ip("10.32.0.0")));
    assert!(!network.contains(ip("2001:db8::1")));
    assert!(
        "0.0.0.0/0"
            .parse::<Network>()
            .unwrap()
            .contains(ip("203.0.113.9"))
    );
}

#[test]
fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
    let proxies = proxies(&["10.0.0.0/8"]);
    assert_eq!(
        client(&proxies, "203.0.113.9", &["198.51.100.1"]),
        ip("203.0.113.9")
    );
}

#[test]
fn what_the_client_wrote_at_the_left_is_not_believed() {
    let proxies = proxies(&["10.0.0.0/8"]);
    assert_eq!(
        client(&proxies, "10.0.0.1", &["1.2.3.4, 198.51.100.7, 10.0.0.9"]),
        ip("198.51.100.7")
    );
}

#[test]
fn several_fields_are_one_list() {
    let proxies = proxies(&["10.0.0.0/8"]);
    assert_eq!(
        client(&proxies, "10.0.0.1", &["1.2.3.4", "198.51.100.7,10.0.0.9"]),
        ip("198.51.100.7")
    );
    assert_eq!(
        client(&proxies, "10.0.0.1", &["198.51.100.7", "10.0.0.8", "10.0.0.9"]),
        ip("198.51.100.7")
    );
}

#[test]
fn a_hop_that_is_no_address_ends_the_search() {
    let proxies = proxies(&["10.0.0.0/8"]);
    assert_eq!(
        client(&proxies, "10.0.0.1", &["198.51.100.7, unknown"]),
        ip("10.0.0.1")
    );
    assert_eq!(
        client(&proxies, "10.0.0.1", &["198.51.100.7, , 10.0.0.9"]),
        ip("10.0.0.9")
    );
    assert_eq!(client(&proxies, "10.0.0.1", &[""]), ip("10.0.0.1"));
    assert_eq!(client(&proxies, "10.0.0.1", &[]), ip("10.0.0.1"));
}

#[test]
fn ports_and_brackets_are_understood() {
    let proxies = TrustedProxies::loopback();
    assert_eq!(
        client(&proxies, "127.0.0.1", &["198.51.100.7:4711"]),
        ip("198.51.100.7")
    );
    assert_eq!(
        client(&proxies, "::1", &["[2001:db8::7]:4711"]),
        ip("2001:db8::7")
    );
    assert_eq!(
        client(&proxies, "::ffff:127.0.0.1", &["[2001:db8::7]"]),
        ip("2001:db8::7")
    );
}

#[test]
fn a_chain_of_only_trusted_proxies_ends_at_its_left_end() {
    let proxies = proxies(&["10.0.0.0/8"]);
    assert_eq!(
        client(&proxies, "10.0.0.1", &["10.0.0.3, 10.0.0.2"]),
        ip("10.0.0.3")
    );
}

#[test]
fn a_very_long_chain_costs_a_bounded_search() {
    let proxies = proxies(&["10.0.0.0/8"]);
    let long = format!("198.51.100.7{}", ", 10.0.0.2".repeat(100_000));
    assert_eq!(client(&proxies, "10.0.0.1", &[&long]), ip("10.0.0.2"));
}
