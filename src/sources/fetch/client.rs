//! The HTTP client, and what its errors mean in words that hold no secret.

use std::error::Error;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, Url};

use super::web::Proxies;
use crate::sources::SourceError;

/// Redirects that are followed; browsers follow 20.
const REDIRECTS: usize = 10;
/// Our name in servers' logs.
const AGENT: &str = concat!("goldsmith/", env!("CARGO_PKG_VERSION"));

/// A client that gives up when nothing comes for `silence`. A redirect may lead from https to http: the files are pinned by their digests,
/// and nothing secret is sent.
pub(in crate::sources) fn client(proxies: &Proxies, silence: Duration) -> Result<Client, SourceError> {
    built(proxies, silence, Policy::limited(REDIRECTS))
}

/// A client for files without a pin: it does not follow a redirect to http, where the file could be changed on the way.
pub(super) fn wary_client(proxies: &Proxies, silence: Duration) -> Result<Client, SourceError> {
    let policy = Policy::custom(|attempt| {
        if attempt.previous().len() > REDIRECTS {
            return attempt.error(Lost);
        }
        let own = matches!(attempt.url().host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if attempt.url().scheme() == "https" || own { attempt.follow() } else { attempt.error(Downgrade) }
    });
    built(proxies, silence, policy)
}

/// A redirect to http, where the file could be changed on the way.
#[derive(Debug, thiserror::Error)]
#[error("it redirects to http, where anybody on the way can change what it gives")]
struct Downgrade;

/// Too many redirects.
#[derive(Debug, thiserror::Error)]
#[error("it redirects more than {REDIRECTS} times")]
struct Lost;

fn built(proxies: &Proxies, silence: Duration, redirects: Policy) -> Result<Client, SourceError> {
    // This fails when a provider is installed already, and that is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(AGENT)
        .redirect(redirects)
        .referer(false)
        .connect_timeout(silence)
        .read_timeout(silence)
        // The proxies come from [`Proxies`], so reqwest must not read the environment itself.
        .no_proxy();
    let none = proxies.none.as_deref().and_then(NoProxy::from_string);
    let made = [
        proxies.http.as_ref().map(|proxy| Proxy::http(proxy.reveal())),
        proxies.https.as_ref().map(|proxy| Proxy::https(proxy.reveal())),
        proxies.all.as_ref().map(|proxy| Proxy::all(proxy.reveal())),
    ];
    let with = |builder: ClientBuilder, proxy: reqwest::Result<Proxy>| Ok(builder.proxy(proxy?.no_proxy(none.clone())));
    let client = made.into_iter().flatten().try_fold(builder, with).and_then(ClientBuilder::build);
    client.map_err(|error| SourceError::NoClient { why: words(&error) })
}

/// The innermost cause of an error, which is the most specific. It contains no URLs.
pub(super) fn words(error: &reqwest::Error) -> String {
    if error.is_redirect() {
        let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
        return if causes.any(|cause| cause.is::<Downgrade>()) { Downgrade.to_string() } else { Lost.to_string() };
    }
    if error.is_timeout() {
        return if error.is_connect() { "no connection could be made in time" } else { "it fell silent" }.to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let cause = if cause.is::<reqwest::Error>() { "it cannot be used".to_owned() } else { cause.to_string() };
    let Some(why) = cause.strip_prefix("invalid peer certificate: ") else { return cause };
    let why = match why {
        "UnknownIssuer" => "this host trusts no signer of it",
        why if why.contains("CaUsedAsEndEntity") => "it has signed itself",
        why => why,
    };
    format!("its certificate is not trusted by this host: {why}")
}

/// A URL that may be shown: without the parts that may be a credential.
pub(crate) fn shown(url: &str) -> String {
    let Some(mut url) = Url::parse(url).ok().filter(Url::has_host) else { return "an address that is no URL".to_owned() };
    // These calls only fail for a URL without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let query = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    if query { format!("{url}?…") } else { url.into() }
}

/// The host of a URL.
pub(super) fn host(url: &str) -> String {
    Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_credential_is_not_shown() {
        for (url, expected) in [
            ("https://me:pw@host/a%20b", "https://host/a%20b"),
            ("https://me@host:8443/x?token=abc#part", "https://host:8443/x?…"),
            ("http://host", "http://host/"),
            ("me:pw@host", "an address that is no URL"),
        ] {
            let found = shown(url);
            assert_eq!(found, expected, "{url}");
        }
        assert_eq!((host("https://me:pw@host:1/x"), host("x")), ("host".to_owned(), String::new()));
    }

    #[test]
    fn a_proxy_that_is_none_is_refused_without_showing_it() {
        let secret = |text: &str| Some(crate::base::secret::Secret::new(text));
        let wrong = Proxies { http: secret("http://me:hunter2@:bad:"), ..Proxies::default() };
        let error = client(&wrong, Duration::from_secs(1)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        let fine =
            Proxies { all: secret("http://me:hunter2@proxy:3128"), none: Some("localhost,.example.org".into()), ..Proxies::default() };
        client(&fine, Duration::from_secs(1)).unwrap();
        assert!(!format!("{fine:?}").contains("hunter2"));
    }
}
