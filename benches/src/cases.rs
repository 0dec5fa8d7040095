//! What is compared with what, and the bars that hold.

/// One load, given to several lanes in alternation.
#[derive(Clone, Debug)]
pub struct Case {
    /// What `--cases` calls it.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// HTTP version, 1 or 2.
    pub http: u8,
    /// What is measured side by side.
    pub lanes: Vec<Lane>,
    /// What must hold between lanes.
    pub bars: Vec<Bar>,
}

/// One server under one variation of the load.
#[derive(Clone, Debug)]
pub struct Lane {
    /// For people.
    pub name: &'static str,
    /// Which server.
    pub server: Server,
    /// Connections.
    pub connections: u32,
    /// Requests outstanding on each.
    pub outstanding: u32,
    /// Whose tokens.
    pub tokens: Tokens,
    /// The generator's `--skus`.
    pub skus: &'static str,
    /// How fast.
    pub pace: Pace,
    /// The status that the lane is about.
    pub expect: u16,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// nginx, `return 200`.
    Nginx,
    /// Tidegate, in each variant that was asked for.
    Tidegate,
}

/// Which tokens the requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// One, remembered since the first request.
    One,
    /// One a user, sent once: each is verified. The lane then makes as many requests as there are users.
    Fresh,
    /// One a user, sent again and again; all of them together fit the gateway's memory of tokens.
    Many,
}

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each connection always has its requests outstanding.
    Closed,
    /// Open loop at this multiple of the rate that lane 0 had in the same round.
    TimesFirst(f64),
}

/// A figure of a sample that bars are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// CPU of the processes.
    Process,
    /// Time of the whole core.
    Core,
    /// Answers per second with the expected status.
    GoodRate,
}

/// What must hold between the medians of two lanes.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Index of the lane that is judged.
    pub lane: usize,
    /// Index of the lane it is compared with.
    pub against: usize,
    /// Which figure.
    pub figure: Figure,
    /// The bound of the ratio; `None` for a ratio that is only shown.
    pub bound: Option<Bound>,
}

/// A bound of a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Not above the first; better than the second is the aim.
    AtMost(f64, Option<f64>),
    /// Not below.
    AtLeast(f64),
}

/// The SKU of which there is nothing.
pub const SOLD_OUT_SKU: &str = "GONE-1";

const NGINX: Lane = Lane {
    name: "nginx, return 200",
    server: Server::Nginx,
    connections: 64,
    outstanding: 1,
    tokens: Tokens::One,
    skus: "uniform",
    pace: Pace::Closed,
    expect: 200,
};
const ORDER: Lane = Lane {
    name: "tidegate, durable order",
    server: Server::Tidegate,
    expect: 201,
    ..NGINX
};

const fn cpu(bound: f64, aim: f64) -> [Bar; 3] {
    let bar = Bar {
        lane: 1,
        against: 0,
        figure: Figure::Process,
        bound: Some(Bound::AtMost(bound, Some(aim))),
    };
    [
        bar,
        Bar {
            figure: Figure::Core,
            bound: None,
            ..bar
        },
        Bar {
            figure: Figure::GoodRate,
            bound: None,
            ..bar
        },
    ]
}

const fn rate(lane: usize, bound: f64) -> Bar {
    Bar {
        lane,
        against: 0,
        figure: Figure::GoodRate,
        bound: Some(Bound::AtLeast(bound)),
    }
}

const fn shown(lane: usize, figure: Figure) -> Bar {
    Bar {
        lane,
        against: 0,
        figure,
        bound: None,
    }
}

/// All of them, in the order they run.
pub fn all() -> Vec<Case> {
    vec![
        order_case(
            "h1-64",
            "a durable order, HTTP/1.1, 64 connections",
            1,
            64,
            1,
            cpu(1.0, 0.8),
        ),
        order_case(
            "h1-256",
            "a durable order, HTTP/1.1, 256 connections",
            1,
            256,
            1,
            cpu(0.8, 0.6),
        ),
        order_case(
            "h2-16x16",
            "a durable order, HTTP/2, 16 connections x 16 streams",
            2,
            16,
            16,
            cpu(0.45, 0.3),
        ),
        tokens(),
        hot_sku(
            "hot-h1",
            "all orders on one SKU, HTTP/1.1, 256 connections",
            1,
            256,
            1,
        ),
        hot_sku("hot-h2", "all orders on one SKU, HTTP/2, 16 x 16", 2, 16, 16),
        sold_out(
            "sold-out-h1",
            "sold-out answers, HTTP/1.1, 256 connections",
            1,
            256,
            1,
        ),
        sold_out("sold-out-h2", "sold-out answers, HTTP/2, 16 x 16", 2, 16, 16),
        overload(),
    ]
}

fn order_case(
    name: &'static str,
    title: &'static str,
    http: u8,
    connections: u32,
    outstanding: u32,
    bars: [Bar; 3],
) -> Case {
    let lanes = [NGINX, ORDER].map(|lane| Lane {
        connections,
        outstanding,
        ..lane
    });
    Case {
        name,
        title,
        http,
        lanes: lanes.to_vec(),
        bars: bars.to_vec(),
    }
}

fn tokens() -> Case {
    let lanes = vec![
        Lane {
            name: "tidegate, one remembered token",
            ..ORDER
        },
        Lane {
            name: "tidegate, a fresh token each",
            tokens: Tokens::Fresh,
            ..ORDER
        },
        Lane {
            name: "tidegate, as many tokens, 4 orders each",
            tokens: Tokens::Many,
            ..ORDER
        },
        NGINX,
    ];
    let bars = vec![
        shown(1, Figure::Process),
        shown(2, Figure::Process),
        shown(1, Figure::GoodRate),
    ];
    Case {
        name: "tokens",
        title: "one token against a token a user, HTTP/1.1, 64 connections",
        http: 1,
        lanes,
        bars,
    }
}

fn hot_sku(name: &'static str, title: &'static str, http: u8, connections: u32, outstanding: u32) -> Case {
    let order = Lane {
        connections,
        outstanding,
        ..ORDER
    };
    let lanes = vec![
        Lane {
            name: "tidegate, 1000 SKUs alike",
            ..order.clone()
        },
        Lane {
            name: "tidegate, one SKU",
            skus: "hot",
            ..order
        },
    ];
    Case {
        name,
        title,
        http,
        lanes,
        bars: vec![rate(1, 0.9), shown(1, Figure::Process)],
    }
}

fn sold_out(name: &'static str, title: &'static str, http: u8, connections: u32, outstanding: u32) -> Case {
    let order = Lane {
        connections,
        outstanding,
        ..ORDER
    };
    let lanes = vec![
        order.clone(),
        Lane {
            name: "tidegate, sold out",
            skus: SOLD_OUT_SKU,
            expect: 409,
            ..order
        },
    ];
    Case {
        name,
        title,
        http,
        lanes,
        bars: vec![rate(1, 1.3), shown(1, Figure::Process)],
    }
}

/// Every order comes with a token that was never seen, the dearest request that an honest client can make: the generator, which
/// signed them before, can offer twice what the gateway carries. So many streams are open that what waits is more than
/// the 50 ms after which it is shed.
fn overload() -> Case {
    let order = Lane {
        connections: 64,
        outstanding: 16,
        tokens: Tokens::Fresh,
        ..ORDER
    };
    let lanes = vec![
        Lane {
            name: "tidegate, as fast as it can",
            ..order.clone()
        },
        Lane {
            name: "tidegate, offered twice that",
            outstanding: 64,
            pace: Pace::TimesFirst(2.0),
            ..order
        },
    ];
    Case {
        name: "overload",
        title: "twice the load it can carry: a fresh token each, HTTP/2, open loop, 64 connections x 64 streams",
        http: 2,
        lanes,
        bars: vec![rate(1, 0.9)],
    }
}

/// The cases of a list of names; `all` is every one.
///
/// # Errors
/// The first name that is no case.
pub fn select(names: &str) -> Result<Vec<Case>, String> {
    let mut known = all();
    if names == "all" {
        return Ok(known);
    }
    let mut chosen = Vec::new();
    for name in names.split(',').map(str::trim) {
        match known.iter().position(|case| case.name == name) {
            Some(at) => chosen.push(known.remove(at)),
            None => {
                let names: Vec<&str> = all().iter().map(|case| case.name).collect();
                return Err(format!(
                    "--cases: {name} is none of {}, or is there twice",
                    names.join(", ")
                ));
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_names_lanes_that_exist_and_paces_follow_a_closed_first_lane() {
        for case in all() {
            assert_eq!(case.lanes[0].pace, Pace::Closed);
            for bar in &case.bars {
                assert!(
                    bar.lane < case.lanes.len() && bar.against < case.lanes.len(),
                    "{}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn cases_are_chosen_by_name() {
        let names: Vec<&str> = select("h2-16x16, h1-64")
            .unwrap()
            .iter()
            .map(|case| case.name)
            .collect();
        assert_eq!(names, ["h2-16x16", "h1-64"]);
        assert_eq!(select("all").unwrap().len(), all().len());
        assert!(select("h3").is_err() && select("h1-64,h1-64").is_err());
    }
}
