//! A message sent by mistake is taken back: request, facts, plan, seal, withdraw, report, restore
