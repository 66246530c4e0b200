//! Who exists: domains, accounts, aliases, groups, credentials
