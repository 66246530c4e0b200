//! Senders and operators who take mail back, some who may not, and who restore it.

use tern_base::{Entropy, OriginId};
use tern_policy::Authentication;
use tern_recall::{Attachment, RecallError, RecallId, Request, Requested, Requester, Selector};

use super::Actor;
use crate::letter::Part;
use crate::oracle::{Asked, Promise};
use crate::server::address;
use crate::sim::Sim;

/// Somebody at the command line or the API.
#[derive(Default)]
pub(crate) struct Recaller {
    /// A request whose answer was lost: it is made again, under the same id.
    again: Option<Request>,
}

impl Recaller {
    fn request(sim: &Sim) -> Option<Request> {
        let submitted: Vec<_> = {
            let oracle = sim.oracle.borrow();
            let accepted = oracle.arrivals.iter().filter(|(_, arrival)| {
                arrival.submitter.is_some() && arrival.promise == Promise::Accepted
            });
            accepted
                .map(|(origin, arrival)| (*origin, arrival.clone()))
                .collect()
        };
        let (origin, arrival): (OriginId, _) = sim.pick(&submitted)?;
        let mut id = [0; 16];
        sim.entropy().fill(&mut id);
        let who = sim.below(10);
        // Their own, the operator, or somebody who may not.
        let account = match who {
            0 => None,
            1 => arrival
                .accounts
                .iter()
                .next()
                .copied()
                .or(arrival.submitter),
            _ => arrival.submitter,
        };
        let letter = sim.oracle.borrow().letter(arrival.letter)?.clone();
        let recipients = letter.recipients;
        let chosen = match sim.chance(250) {
            true => sim.pick(&recipients).into_iter().collect(),
            false => Vec::new(),
        };
        // One of the attachments, or now and then one that is not there.
        let wants_part = sim.chance(match letter.has_attachments {
            true => 400,
            // Of what it carries the parts have other places.
            false => 20 * usize::from(letter.carried.is_empty()),
        });
        let part = sim
            .pick(&[Part::Attachment, Part::Second])
            .filter(|_| wants_part);
        let name = account.map_or_else(
            || "root".to_owned(),
            |of| address(sim.name_of(of)).to_string(),
        );
        let asked = Asked {
            origin,
            requester: account,
            chosen: chosen.clone(),
            attachment: part,
            allowed: account.is_none() || account == arrival.submitter,
        };
        sim.oracle.borrow_mut().asked.insert(RecallId(id), asked);
        Some(Request {
            id: RecallId(id),
            selector: Selector::Submission(origin),
            requester: requester(account, name),
            chosen: chosen.iter().map(ToString::to_string).collect(),
            selection: tern_policy::Selection::Any,
            attachment: part.map(|part| Attachment::asked(part.file())),
            reach: tern_recall::Reach::default(),
            notices: tern_recall::Notices::default(),
            batch: None,
            as_answer: false,
            reason: None,
            replacement: None,
            expires: None,
        })
    }

    fn ask(&mut self, sim: &Sim) -> Result<(), RecallError> {
        let Some(request) = self.again.take().or_else(|| Self::request(sim)) else {
            return Ok(());
        };
        let server = sim.server();
        let answer = server.recalls.request(&request, sim.now());
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.again = Some(request);
                return Err(error);
            }
        };
        sim.tell(|| format!("{} asks: {answer:?}", request.requester.name));
        sim.oracle.borrow_mut().answered(answer);
        if matches!(answer, Requested::Sealed(_)) && sim.chance(600) {
            server.recalls.run(answer.id(), sim.now())?;
        }
        Ok(())
    }

    fn restore(sim: &Sim) -> Result<(), RecallError> {
        let server = sim.server();
        let recalls = server.recalls.list(None, 100)?;
        let Some(line) = sim.pick(&recalls) else {
            return Ok(());
        };
        let (id, owner) = (line.recall.id, line.recall.owner);
        let entitled = sim.chance(800);
        let account = match entitled {
            true => owner,
            false => Some(tern_base::AccountId(5)),
        };
        let name = account.map_or_else(|| "root".to_owned(), |of| sim.name_of(of).to_owned());
        if account.is_none() || account == owner {
            sim.oracle.borrow_mut().restore_asked(id);
        }
        sim.tell(|| format!("{name} asks to restore {id}"));
        let requester = requester(account, name);
        match server.recalls.restore(id, &requester, sim.now()) {
            Err(RecallError::WrongState(_) | RecallError::NotAllowed(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(()) if sim.chance(600) => server.recalls.run(id, sim.now()),
            Ok(()) => Ok(()),
        }
    }
}

pub(super) fn requester(account: Option<tern_base::AccountId>, name: String) -> Requester {
    Requester {
        account,
        name,
        authentication: Authentication {
            protocol: "cli".to_owned(),
            ..Authentication::default()
        },
    }
}

impl Actor for Recaller {
    fn name(&self) -> &'static str {
        "a recall"
    }

    fn step(&mut self, sim: &Sim) {
        let done = match sim.below(10) {
            0..=4 => self.ask(sim),
            5 => Self::restore(sim),
            _ => Ok(()),
        };
        if let Err(error) = done {
            sim.tell(|| format!("recall: {error}"));
            sim.server_fault("recall", error.fault(), &error);
        }
    }
}
