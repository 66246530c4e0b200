//! What push subscriptions need of the shell.

use tern_directory::PushKeys;
use tern_jmap::PushDesk;
use url::Url;

use super::Jmap;
use crate::web_push::WebPush;

impl PushDesk for Jmap {
    fn may_reach(&self, url: &Url) -> bool {
        self.web_push.may_reach(url)
    }

    fn can_use(&self, keys: &PushKeys) -> bool {
        WebPush::can_use(keys)
    }
}
