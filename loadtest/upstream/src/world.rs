//! Who exists: enterprises, teams, people, assistants. Everything else is drawn.

/// One team of an enterprise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Team {
    pub(crate) id: u32,
    pub(crate) name: &'static str,
    pub(crate) enterprise: u32,
    /// Left out of cross-team answers unless `include_test_teams`.
    pub(crate) test: bool,
    /// Whether the team uses Simple Scheduler.
    pub(crate) scheduler: bool,
}

pub(crate) const TEAMS: &[Team] = &[
    Team { id: 101, name: "Acme Heating North", enterprise: 7, test: false, scheduler: true },
    Team { id: 102, name: "Acme Plomer\u{ed}a Sur", enterprise: 7, test: false, scheduler: true },
    Team {
        id: 103,
        name: "Acme Electric \u{26a1} West",
        enterprise: 7,
        test: false,
        scheduler: false,
    },
    Team { id: 109, name: "Acme Sandbox", enterprise: 7, test: true, scheduler: true },
    Team { id: 201, name: "Borealis Plumbing", enterprise: 8, test: false, scheduler: true },
    Team {
        id: 202,
        name: "Borealis \u{6771}\u{4eac}",
        enterprise: 8,
        test: false,
        scheduler: false,
    },
];

/// Enterprise id and slug; either may stand in `X-Colonnade-Account`.
pub(crate) const ENTERPRISES: &[(u32, &str)] = &[(7, "acme"), (8, "borealis")];

/// How often a row belongs to which team: 101 most.
const SHARES: &[u32] = &[
    101, 101, 101, 101, 101, 101, 101, 102, 102, 102, 102, 103, 103, 103, 109, 201, 201, 201, 201,
    202,
];
const SCHEDULER_SHARES: &[u32] = &[101, 101, 101, 101, 102, 102, 109, 201, 201];

/// User id as the gateway sends it, and the mail address that rows carry.
pub(crate) const USERS: &[(&str, &str)] = &[
    ("u_ann", "ann@acme.test"),
    ("u_bob", "bob@acme.test"),
    ("u_cleo", "cleo@acme.test"),
    ("u_dan", "dan@borealis.test"),
];

/// Assistant ids with the names that the example directory gives them. Ids are spelled in the three
/// ways seen in the field; names hold what a careless JSON writer would get wrong.
pub const ASSISTANTS: &[(&str, &str)] = &[
    ("3f2b8c1e-9a47-4d6f-8b20-5c1d7e9f0a34", "Front Desk"),
    (
        "b7d40f92-1c58-4e3a-9f6d-2a8b3c4d5e6f",
        "After-Hours \u{2014} Ni\u{f1}a \u{201c}Dispatch\u{201d}",
    ),
    ("0c9e8d7f-6b5a-4c3d-8e2f-1a0b9c8d7e6f", "Quote \" Slash / Back \\ Tab \t Newline \n"),
    ("asst_callback_001", "Callback Team \u{1f4de}"),
    ("asst_overflow_es", "Recepci\u{f3}n (Espa\u{f1}ol)"),
    ("oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD", "\u{53d7}\u{4ed8} \u{6771}\u{4eac}"),
    ("agent_abc123", "Front Desk Agent"),
];

/// Assistant ids that occur in the data and have no name: they get the account's fallback.
pub const UNNAMED_ASSISTANTS: &[&str] = &[
    "11111111-2222-4333-8444-555555555555",
    "asst_retired_2024",
    "ZZZZLoLOeuAbiuaMFXRtDOLriTJ5tSxD",
    "agent_does_not_exist",
];

/// The enterprise that an account header names, by id or slug.
pub(crate) fn enterprise(named: &str) -> Option<u32> {
    let (id, _) =
        ENTERPRISES.iter().find(|(id, slug)| *slug == named || id.to_string() == named)?;
    Some(*id)
}

/// A team, drawn by its share of the data.
pub(crate) fn any_team(draw: &mut crate::draw::Draw) -> u32 {
    draw.pick(SHARES)
}

/// A team that uses Simple Scheduler.
pub(crate) fn any_scheduler_team(draw: &mut crate::draw::Draw) -> u32 {
    draw.pick(SCHEDULER_SHARES)
}

/// The mail address of a person of the team's enterprise; some rows belong to nobody.
pub(crate) fn any_owner(draw: &mut crate::draw::Draw, team: u32) -> Option<&'static str> {
    if team >= 200 {
        return draw.pick_or_null(10, &["dan@borealis.test"]);
    }
    draw.pick_or_null(
        10,
        &["ann@acme.test", "ann@acme.test", "bob@acme.test", "bob@acme.test", "cleo@acme.test"],
    )
}
