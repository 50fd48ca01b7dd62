//! Servers and clients of tower, for any service over `http` requests.
//!
//! [`ServerLayer`] around a service traces each request as a span of kind SERVER, [`ClientLayer`]
//! as one of kind CLIENT, by the stable semantic conventions for HTTP.
//!
//! | a server's span says | |
//! |---|---|
//! | its name | `GET /orders/{id}`; without a route `GET`; for an unknown method `HTTP` |
//! | `http.request.method` | one that is known, else `_OTHER` and `http.request.method_original` |
//! | `http.route` | the template, if the framework has one |
//! | `http.response.status_code` | 5xx makes the span an error, 4xx does not |
//! | `url.scheme`, `url.path`, `url.query` | values of secret keys are `REDACTED` |
//! | `server.address`, `server.port` | of `Forwarded`, `X-Forwarded-Host`, `:authority`, `Host`, the first that names a host |
//! | `client.address` | of `Forwarded`, `X-Forwarded-For`, the peer, the first that is an IP address |
//! | `network.peer.address`, `network.peer.port` | if the framework tells |
//! | `network.protocol.version`, `user_agent.original` | |
//! | `error.type` | the status code, the type of the service's error, `panic`, or `cancelled` |
//!
//! A span that was dropped before its response was sent is `cancelled`: the client went away, or
//! a timeout around the layer struck. An event stream (`text/event-stream`) has no end but that one,
//! and is not. An upgraded connection is no longer part of the request.
//!
//! A panic is recorded, and goes on.
//!
//! How far the response has got is seen up to the last piece that the server takes from its body.
//! Whether that piece has reached the client is not: a client that goes away just then has had its
//! whole response, for all that a layer can see.
//!
//! # Layers in layers
//!
//! A layer may be put around another: around an app and a part of it that is nested, or gRPC's inside
//! of HTTP's. The request is one trace then: the inner span is the child of what is current, if the
//! request's headers have that in their trace, or have none. So it is for a request that a test or a
//! job makes inside of a span, in the same task. Baggage of the current context is there inside, and
//! where telemetry is suppressed, as under a layer that skips the request, it stays so.
//!
//! # Known methods
//!
//! Those of RFC 9110, `PATCH` and `QUERY`. `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` has others in
//! their place: a list by commas, in which case counts. It is read once, from the environment of the
//! process, for servers and clients alike; [`ServerLayer::with_known_methods`] and its like come
//! first.
//!
//! # Secrets in queries
//!
//! The value of a query's key is `REDACTED` if a word of the key, or two together, is one of these, in
//! any case and percent-coded or not (`reset_password_token`, `newPassword`, `user[my-api-key]`):
//!
//! `accesskey`, `apikey`, `credential`, `credentials`, `jwt`, `passcode`, `passphrase`,
//! `passwd`, `password`, `privatekey`, `pwd`, `secret`, `secrets`, `signature`, `token`.
//!
//! So it is if the whole key is one of those that follow, with or without `-`, `_` and `.`, or has one
//! of them in brackets or behind a dot (`user[otp]`, `user.otp`, `code[0]`):
//!
//! `accesscode`, `accesskey`, `accesskeyid`, `accesstoken`, `apikey`, `apisecret`, `apitoken`,
//! `appkey`, `appsecret`, `assertion`, `auth`, `authcode`, `authorization`, `authtoken`,
//! `awsaccesskeyid`, `bearer`, `clientassertion`, `clientkey`, `clientsecret`, `code`,
//! `codeverifier`, `credential`, `credentials`, `csrftoken`, `devicecode`, `hmac`, `idtoken`,
//! `idtokenhint`, `jsessionid`, `jwt`, `key`, `oauthsignature`, `oauthtoken`,
//! `oauthtokensecret`, `oauthverifier`, `oobcode`, `otp`, `passcode`, `passphrase`, `passwd`,
//! `password`, `phpsessid`, `privatekey`, `privatetoken`, `pwd`, `refreshtoken`, `resettoken`,
//! `samlresponse`, `secret`, `secretaccesskey`, `secretkey`, `session`, `sessionid`,
//! `sessiontoken`, `sharedsecret`, `sig`, `signature`, `subscriptionkey`, `ticket`, `token`,
//! `usercode`, `verificationcode`, `xamzcredential`, `xamzsecuritytoken`, `xamzsignature`,
//! `xapikey`, `xauthtoken`, `xgoogcredential`, `xgoogsignature`, `xsrftoken`.
//!
//! A value that holds such a key itself, percent-coded up to twice, is `REDACTED` as a whole:
//! `redirect=https%3A%2F%2Fshop.example%2F%3Ftoken%3D…`.
//!
//! [`ServerLayer::with_secret_query_keys`] and its like add more. The conventions ask for
//! `AWSAccessKeyId`, `Signature`, `sig`, `X-Goog-Signature` and those of `X-Amz-`. A path is shown as
//! it is.
//!
//! # Filters
//!
//! The spans are ordinary `tracing` spans at level INFO with the target `otel_setup::http`. A filter
//! that refuses them still lets the request's trace go on in what happens inside.

mod body;
mod future;
mod layer;
mod origin;
mod resend;
mod service;
mod span;

pub use body::ResponseBody;
pub use future::{ClientFuture, ResponseFuture};
pub use layer::{ClientLayer, ServerLayer};
#[cfg(feature = "tonic")]
pub(super) use origin::origin;
pub use resend::{CountResends, ResendCounter};
pub use service::{ClientService, ServerService};

pub use super::Trust;
