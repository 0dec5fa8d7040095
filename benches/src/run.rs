//! One case: its servers started, its lanes measured round by round in alternation, its servers stopped.

use std::path::{Path, PathBuf};

use crate::arguments::{Arguments, Servers, Variant};
use crate::cases::{Case, Lane, Pace, SOLD_OUT_SKU, Server as Kind, Tokens};
use crate::certificate::Certificate;
use crate::client::{Client, Http};
use crate::load::Load;
use crate::programs::Programs;
use crate::sample::Sample;
use crate::server::{Place, Server};

/// A lane on one server: what has a row in the table.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// Index of the lane in the case.
    pub lane: usize,
    /// Index of the variant; 0 for nginx.
    pub variant: usize,
    /// For people.
    pub name: String,
    /// One sample a round.
    pub samples: Vec<Sample>,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// Its rows.
    pub contestants: Vec<Contestant>,
}

/// What all cases of a run share.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The command line.
    pub arguments: &'a Arguments,
    /// The binaries.
    pub programs: &'a Programs,
    /// The ways to run Tidegate.
    pub variants: &'a [Variant],
    /// The servers' certificate.
    pub certificate: &'a Certificate,
    /// Where all files of the run go.
    pub folder: &'a Path,
}

/// The servers of a case.
struct Running {
    nginx: Option<Server>,
    /// One a variant.
    tidegates: Vec<Server>,
    token_key: Option<PathBuf>,
}

impl Setting<'_> {
    /// Runs a case; `say` is told how it goes.
    ///
    /// # Errors
    /// A sentence: a server or the generator failed.
    pub fn run(&self, case: &Case, say: &mut dyn FnMut(&str)) -> Result<Outcome, String> {
        let mut contestants = self.contestants(case);
        let mut servers = self.start(case, &contestants)?;
        for round in 0..=self.arguments.rounds {
            // Rate that the first lane had in this round, by variant.
            let mut first_rates = vec![0.0; self.variants.len()];
            for at in order(case, &contestants, round) {
                let contestant = &contestants[at];
                let lane = &case.lanes[contestant.lane];
                let rate = match lane.pace {
                    Pace::Closed => None,
                    Pace::TimesFirst(times) => Some((times * first_rates[contestant.variant]).max(1.0)),
                };
                let server = servers.of(lane, contestant.variant)?;
                let failed = |error| format!("{}, {}: {error}", case.name, contestant.name);
                let sample = self
                    .load(case, lane, rate, &server.1)
                    .run(server.0)
                    .map_err(failed)?;
                if contestant.lane == 0 {
                    first_rates[contestant.variant] = sample.rate;
                }
                let round_name = if round == 0 {
                    "warm-up".to_string()
                } else {
                    format!("round {round}")
                };
                say(&format!(
                    "{:<12} {round_name:<8} {:<44} {:>8.0}/s {:>7.2} us process {:>7.2} us core, {:.0} % busy",
                    case.name,
                    contestant.name,
                    sample.good_rate,
                    sample.process_us,
                    sample.core_us,
                    sample.core_busy * 100.0
                ));
                if round > 0 {
                    contestants[at].samples.push(sample);
                }
            }
        }
        for tidegate in &servers.tidegates {
            let strays = tidegate.strays();
            if !strays.is_empty() {
                say(&format!(
                    "beware: threads of tidegate were not bound to its core: {}",
                    strays.join(", ")
                ));
            }
        }
        Ok(Outcome {
            case: case.clone(),
            contestants,
        })
    }

    /// Every lane with every server that takes part.
    fn contestants(&self, case: &Case) -> Vec<Contestant> {
        let mut all = Vec::new();
        for (index, lane) in case.lanes.iter().enumerate() {
            let variants = match (lane.server, self.arguments.servers) {
                (Kind::Nginx, Servers::Tidegate) | (Kind::Tidegate, Servers::Nginx) => 0,
                (Kind::Nginx, _) => 1,
                (Kind::Tidegate, _) => self.variants.len(),
            };
            all.extend((0..variants).map(|variant| {
                let label = if lane.server == Kind::Tidegate {
                    self.variants[variant].label.as_str()
                } else {
                    ""
                };
                let space = if label.is_empty() { "" } else { ", " };
                Contestant {
                    lane: index,
                    variant,
                    name: format!("{}{space}{label}", lane.name),
                    samples: Vec::new(),
                }
            }));
        }
        all
    }

    /// Starts what the contestants need, each in a folder of its own under the case's.
    fn start(&self, case: &Case, contestants: &[Contestant]) -> Result<Running, String> {
        let is_needed = |kind: Kind| {
            contestants
                .iter()
                .any(|contestant| case.lanes[contestant.lane].server == kind)
        };
        let place = |name: &str| Place {
            core: self.arguments.server_core,
            folder: self.folder.join(case.name).join(name),
            certificate: self.certificate,
        };
        let mut running = Running {
            nginx: None,
            tidegates: Vec::new(),
            token_key: None,
        };
        if is_needed(Kind::Nginx) {
            let program = self.programs.nginx.as_deref().ok_or("nginx is not there")?;
            running.nginx = Some(Server::nginx(program, &place("nginx"))?);
        }
        if is_needed(Kind::Tidegate) {
            for (index, variant) in self.variants.iter().enumerate() {
                let place = place(&format!("tidegate-{index}"));
                let server = Server::tidegate(
                    &self.programs.tidegate,
                    &place,
                    running.token_key.as_deref(),
                    &variant.set,
                )?;
                // The same tokens are good at all of them.
                running
                    .token_key
                    .get_or_insert(place.folder.join("data/token.key"));
                self.stock_up(&server, &place.folder.join("data"))?;
                running.tidegates.push(server);
            }
        }
        Ok(running)
    }

    /// Enough of the hot SKU for any number of rounds, and a SKU of which there is nothing.
    fn stock_up(&self, server: &Server, data: &Path) -> Result<(), String> {
        let token = operator_token(&self.programs.tidegate, data)?;
        let client = Client::new(server.address, &self.certificate.cert, Http::One)?;
        let authorization = format!("authorization: Bearer {token}\r\n");
        for (sku, stock) in [("SKU-1", 1_000_000_000_u64), (SOLD_OUT_SKU, 0)] {
            let body = format!(r#"{{"name":"Bench","price":1000,"currency":"CNY","stock":{stock}}}"#);
            let answer = client.request("PUT", &format!("/v1/skus/{sku}"), &authorization, &body)?;
            if !(200..300).contains(&answer.status) {
                return Err(format!(
                    "PUT /v1/skus/{sku} was answered {}: {}",
                    answer.status, answer.body
                ));
            }
        }
        Ok(())
    }

    fn load<'a>(
        &'a self,
        case: &Case,
        lane: &'a Lane,
        rate: Option<f64>,
        token_key: &'a Option<PathBuf>,
    ) -> Load<'a> {
        // An offer of twice the rate lasts as long as the lane it is measured against.
        let times = match lane.pace {
            Pace::Closed => 1.0,
            Pace::TimesFirst(times) => times,
        };
        let requests = (self.arguments.requests as f64 * times) as u64;
        let users = (f64::from(self.arguments.users) * times) as u32;
        let all_once = u32::try_from(requests).unwrap_or(u32::MAX);
        Load {
            program: &self.programs.loadgen,
            core: self.arguments.client_core,
            folder: self.folder.join(case.name).join("load"),
            cacert: &self.certificate.cert,
            token_key: token_key.as_deref(),
            http: case.http,
            connections: lane.connections,
            outstanding: lane.outstanding,
            users: match lane.tokens {
                Tokens::One => users,
                Tokens::Fresh => users.min(all_once),
                Tokens::Many => users.min(all_once / 4).max(1),
            },
            one_token: lane.tokens == Tokens::One,
            skus: lane.skus,
            requests: match lane.tokens {
                Tokens::Fresh => u64::from(users.min(all_once)),
                Tokens::One | Tokens::Many => requests,
            },
            rate,
            expect: lane.expect,
        }
    }
}

impl Running {
    /// The server of a lane, and the key that its tokens are signed with.
    fn of(&mut self, lane: &Lane, variant: usize) -> Result<(&mut Server, Option<PathBuf>), String> {
        let key = self.token_key.clone();
        let server = match lane.server {
            Kind::Nginx => self.nginx.as_mut(),
            Kind::Tidegate => self.tidegates.get_mut(variant),
        };
        Ok((server.ok_or("the lane's server does not run")?, key))
    }
}

/// The contestants in the order of this round: begun with another one each time, so that none always follows the same one. Lanes
/// whose pace follows the first lane's come after all others.
fn order(case: &Case, contestants: &[Contestant], round: usize) -> Vec<usize> {
    let is_closed = |at: &usize| case.lanes[contestants[*at].lane].pace == Pace::Closed;
    let (mut order, followers): (Vec<usize>, Vec<usize>) = (0..contestants.len()).partition(is_closed);
    if !order.is_empty() {
        let by = round % order.len();
        order.rotate_left(by);
    }
    order.extend(followers);
    order
}

/// A token with the role `operator`, from the gateway's own command.
///
/// # Errors
/// A sentence.
pub fn operator_token(tidegate: &Path, data: &Path) -> Result<String, String> {
    let mut command = std::process::Command::new(tidegate);
    command
        .arg("token")
        .arg("--data")
        .arg(data)
        .args(["--user", "bench-operator", "--role", "operator"]);
    let output = command
        .output()
        .map_err(|e| format!("{}: {e}", tidegate.display()))?;
    if !output.status.success() {
        return Err(format!(
            "tidegate token: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::select;

    #[test]
    fn rounds_begin_with_another_contestant_and_followers_are_last() {
        let contestants = |case: &Case| -> Vec<Contestant> {
            let lane = |lane| Contestant {
                lane,
                variant: 0,
                name: String::new(),
                samples: Vec::new(),
            };
            (0..case.lanes.len()).map(lane).collect()
        };
        let case = &select("h1-64").unwrap()[0];
        assert_eq!(order(case, &contestants(case), 0), [0, 1]);
        assert_eq!(order(case, &contestants(case), 1), [1, 0]);
        let case = &select("overload").unwrap()[0];
        assert_eq!(order(case, &contestants(case), 1), [0, 1]);
    }
}
