//! Counsel, who places legal holds over accounts and letters, some of which forbid hiding, and
//! releases them.

use tern_recall::{HoldId, NewHold, RecallError, Scope};

use super::Actor;
use super::recaller::requester;
use crate::oracle::HeldBy;
use crate::sim::Sim;

/// Somebody at the command line.
#[derive(Default)]
pub(crate) struct Counsel {
    placed: Vec<HoldId>,
}

impl Counsel {
    fn place(&mut self, sim: &Sim) -> Result<(), RecallError> {
        let letters = sim.oracle.borrow().letter_count();
        let over_letter = letters > 0 && sim.chance(400);
        let (account, digest) = if over_letter {
            let number = sim.below(letters as usize) as u32;
            let oracle = sim.oracle.borrow();
            (None, oracle.letter(number).map(|letter| letter.digest))
        } else {
            let people = sim.oracle.borrow().people.there();
            (sim.pick(&people), None)
        };
        let visible = sim.chance(400);
        let new = NewHold {
            id: HoldId::new(sim.now(), &mut sim.entropy()),
            scope: Scope {
                account,
                digest,
                ..Scope::default()
            },
            why: "a case".to_owned(),
            ends: None,
            visible,
        };
        sim.tell(|| format!("hold over {account:?} {digest:?}, visible: {visible}"));
        let held = HeldBy::asked(account, digest, visible);
        sim.oracle.borrow_mut().holds.insert(new.id, held);
        self.placed.push(new.id);
        let server = sim.server();
        server
            .recalls
            .place_hold(&new, &requester(None, "root".to_owned()), sim.now())?;
        if !server.engine.is_dead() {
            sim.oracle.borrow_mut().hold_placed(new.id);
        }
        Ok(())
    }

    fn release(&mut self, sim: &Sim) -> Result<(), RecallError> {
        let Some(id) = sim.pick(&self.placed) else {
            return Ok(());
        };
        sim.tell(|| format!("hold {id} is released"));
        sim.oracle.borrow_mut().hold_let_go(id);
        let operator = requester(None, "root".to_owned());
        match sim.server().recalls.release_hold(id, &operator, sim.now()) {
            // Released already, or its placing was lost.
            Ok(()) | Err(RecallError::NoHold) => {
                self.placed.retain(|one| *one != id);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Actor for Counsel {
    fn name(&self) -> &'static str {
        "a hold"
    }

    fn step(&mut self, sim: &Sim) {
        let done = match sim.below(10) {
            0..=3 => self.place(sim),
            4..=6 => self.release(sim),
            _ => Ok(()),
        };
        if let Err(error) = done {
            sim.tell(|| format!("hold: {error}"));
            sim.server_fault("hold", error.fault(), &error);
        }
    }
}
