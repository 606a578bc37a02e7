//! Arguments of `keys`, `accounts` and `users`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigArg, Format};

/// Where the command goes, and how it prints.
#[derive(Debug, Args)]
pub(crate) struct DirectoryArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The admin API of a running gateway, such as http://127.0.0.1:8081, with the token in
    /// COLONNADE_ADMIN_TOKEN. Without it the store of the configuration is opened.
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) admin: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key. Its text is printed once, here, and kept nowhere.
    Create {
        #[command(flatten)]
        key: NewKeyArgs,
    },
    /// List an account's keys.
    List {
        #[arg(long)]
        account: String,
        /// active, revoked, expired or all.
        #[arg(long, default_value = "active")]
        status: String,
    },
    /// Show one key and how much it is used.
    Show { id: String },
    /// Give a key another name; nothing else changes.
    Rename { id: String, name: String },
    /// Give a key a new text, printed once, here. The old one stops at once, or after --grace.
    Regenerate {
        id: String,
        /// How long the old text still works: 15m, 24h, 7d.
        #[arg(long)]
        grace: Option<String>,
    },
    /// Revoke a key, for good.
    Revoke {
        id: String,
        /// Wait so long until every gateway refuses it: 5s.
        #[arg(long)]
        wait: Option<String>,
    },
    /// Take over a key that was made elsewhere, by its digest.
    Import {
        #[command(flatten)]
        key: NewKeyArgs,
        /// `sha256:` and 64 hex digits of the whole key's text.
        #[arg(long)]
        digest: String,
        /// The masked key, such as `avoca_ab12…9f0c`.
        #[arg(long)]
        display: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewKeyArgs {
    #[arg(long)]
    pub(crate) account: String,
    #[arg(long)]
    pub(crate) name: String,
    /// What the key may do; may be given more than once.
    #[arg(long = "scope", required = true)]
    pub(crate) scopes: Vec<String>,
    /// Which rows it sees.
    #[arg(long)]
    pub(crate) data_scope: Option<String>,
    /// Whom it is issued to; for user data scopes.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// A team it reaches; may be given more than once. Without: all of the account's.
    #[arg(long = "team")]
    pub(crate) teams: Vec<String>,
    /// When it ends, such as 2027-01-01T00:00:00Z.
    #[arg(long)]
    pub(crate) expires_at: Option<String>,
    /// A network it may be used from; may be given more than once.
    #[arg(long = "allowed-ip")]
    pub(crate) allowed_ips: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AccountsArgs {
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
    #[command(subcommand)]
    pub(crate) command: AccountsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountsCommand {
    /// Make an account.
    Create {
        id: String,
        /// What people call it. Default: its id.
        #[arg(long)]
        name: Option<String>,
        /// A plan of the configuration.
        #[arg(long)]
        plan: String,
        /// A team of the account; may be given more than once. Without: any team.
        #[arg(long = "team")]
        teams: Vec<String>,
        /// Live keys it may hold, instead of the configuration's number.
        #[arg(long)]
        live_max: Option<u32>,
    },
    /// List all accounts.
    List,
    /// Show one account.
    Show { id: String },
    /// Bring all accounts, users and keys of a directory file, or of another store, into this one.
    /// What is there already is left as it is. Not with --admin.
    Import {
        /// A directory file.
        #[arg(value_name = "FILE", required_unless_present = "from", conflicts_with = "from")]
        file: Option<PathBuf>,
        /// A configuration, whose store is read.
        #[arg(long, value_name = "CONFIG")]
        from: Option<PathBuf>,
    },
    /// Change an account's name, plan, teams or number of keys.
    Alter {
        id: String,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        plan: Option<String>,
        #[arg(long = "team")]
        teams: Vec<String>,
        #[arg(long)]
        live_max: Option<u32>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct UsersArgs {
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
    #[command(subcommand)]
    pub(crate) command: UsersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Make or change a user.
    Put {
        id: String,
        #[arg(long)]
        account: String,
        #[arg(long)]
        email: Option<String>,
        /// Keys issued to the user work.
        #[arg(long, required_unless_present = "inactive", conflicts_with = "inactive")]
        active: bool,
        /// Keys issued to the user are refused, until it is active again.
        #[arg(long)]
        inactive: bool,
    },
    /// List an account's users.
    List {
        #[arg(long)]
        account: String,
    },
}
