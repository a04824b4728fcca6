//! What applications are, and what they do, in closed sets of words.

use crate::word::words;

words! {
    /// What kind of program an application is.
    ApplicationType {
        /// On a web server: it can keep a secret.
        Web = "WEB",
        /// A service that acts by itself.
        Service = "SERVICE",
        /// In a browser: it can keep none.
        Spa = "SPA",
        /// On a device of its user: it can keep none.
        Native = "NATIVE",
    }

    /// How an application gets tokens.
    GrantType {
        /// With a code, after its user signed in.
        AuthorizationCode = "authorization_code",
        /// With a token of before.
        RefreshToken = "refresh_token",
        /// By itself.
        ClientCredentials = "client_credentials",
        /// After its user signed in on another device (RFC 8628).
        DeviceCode = "urn:ietf:params:oauth:grant-type:device_code",
        /// For a token that was meant for it (RFC 8693).
        TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange",
    }

    /// How an application proves its identity.
    ClientAuthMethod {
        /// With a secret, in a header or in the form.
        ClientSecretBasic = "client_secret_basic",
        /// With a signature (RFC 7523).
        PrivateKeyJwt = "private_key_jwt",
        /// Not at all: it is public.
        None = "none",
    }

    /// How an application came to be known.
    RegistrationKind {
        /// An administrator registered it.
        Manual = "manual",
        /// A user let in a program that its document describes and that nobody registered.
        MetadataDocument = "metadata_document",
    }

    /// How ID tokens and logout tokens are signed.
    SigningAlgorithm {
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
    }

    /// Which set of rules an application keeps.
    Profile {
        /// OAuth 2.1.
        Standard = "standard",
        /// FAPI 2.0.
        Fapi2 = "fapi2",
    }
}

impl Profile {
    /// Whether each refresh token is good for one use. In FAPI 2.0 it is not: its tokens are bound to a key and to an
    /// application that proves who it is (section 5.3.2.1), and one that is lost with an answer costs a sign-in.
    #[must_use]
    pub const fn rotates_refresh_tokens(self) -> bool {
        matches!(self, Self::Standard)
    }
}

impl ApplicationType {
    /// Whether it can keep a secret.
    #[must_use]
    pub const fn is_confidential(self) -> bool {
        matches!(self, Self::Web | Self::Service)
    }

    /// The grants that it may use.
    pub(super) const fn grants(self) -> &'static [GrantType] {
        use GrantType::{AuthorizationCode, ClientCredentials, DeviceCode, RefreshToken, TokenExchange};
        match self {
            Self::Web => &[AuthorizationCode, RefreshToken, ClientCredentials, DeviceCode, TokenExchange],
            Self::Service => &[ClientCredentials, TokenExchange],
            Self::Spa => &[AuthorizationCode, RefreshToken],
            Self::Native => &[AuthorizationCode, RefreshToken, DeviceCode],
        }
    }
}
