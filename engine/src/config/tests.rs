//! What a configuration may not say.

use super::*;
use crate::slow::Overflow;

fn resolved(change: impl FnOnce(&mut Config)) -> Result<Settings, ConfigError> {
    let mut config = Config::default();
    change(&mut config);
    Settings::resolve(config, &[0, 1])
}

#[test]
fn contradictions_are_found() {
    assert_eq!(resolved(|_| ()).map(|settings| settings.workers), Ok(2));
    assert_eq!(resolved(|config| config.workers = 7).map(|settings| settings.workers), Ok(7));
    let errors = [
        resolved(|config| config.workers = 257),
        resolved(|config| config.buffers = 3),
        resolved(|config| config.buffers = 0),
        resolved(|config| config.buffer_size = 63),
        resolved(|config| config.outbox_low = config.outbox_high + 1),
        resolved(|config| config.outbox_size_max = config.outbox_high - 1),
        resolved(|config| config.mailbox_size = 1 << 23),
        resolved(|config| config.mailbox_bytes_max = 1 << 36),
        resolved(|config| config.slow_consumer.size_max = 0),
        resolved(|config| config.slow_consumer.overflow = Overflow::Close(1005)),
        resolved(|config| config.lifetime_jitter_percent = 91),
        resolved(|config| config.lifetime_code = 1005),
    ];
    for (index, settings) in errors.into_iter().enumerate() {
        assert!(settings.is_err(), "{index}");
    }
}

#[test]
fn what_must_not_be_zero() {
    type Change = fn(&mut Config);
    let fields: [(&str, Change); 22] = [
        ("connections_max", |config| config.connections_max = 0),
        ("connections_server_max", |config| config.connections_server_max = Some(0)),
        ("connections_address_max", |config| config.connections_address_max = Some(0)),
        ("handshakes_max", |config| config.handshakes_max = 0),
        ("handshake_rate", |config| config.handshake_rate = Some(0)),
        ("backlog", |config| config.backlog = 0),
        ("mailbox_size", |config| config.mailbox_size = 0),
        ("mailbox_bytes_max", |config| config.mailbox_bytes_max = 0),
        ("turn_size_max", |config| config.turn_size_max = 0),
        ("limits.message_size_max", |config| config.limits.message_size_max = 0),
        ("limits.streamed_size_max", |config| config.limits.streamed_size_max = 0),
        ("limits.frame_size_max", |config| config.limits.frame_size_max = 0),
        ("limits.fragments_max", |config| config.limits.fragments_max = 0),
        ("handshake.head_size_max", |config| config.handshake.head_size_max = 0),
        ("handshake.headers_max", |config| config.handshake.headers_max = 0),
        ("handshake_timeout", |config| config.handshake_timeout = Duration::ZERO),
        ("upgrade_timeout", |config| config.upgrade_timeout = Duration::ZERO),
        ("send_timeout", |config| config.send_timeout = Duration::ZERO),
        ("outbox_age_max", |config| config.outbox_age_max = Some(Duration::ZERO)),
        ("message_timeout", |config| config.message_timeout = Some(Duration::ZERO)),
        ("lifetime_max", |config| config.lifetime_max = Some(Duration::ZERO)),
        ("ping_interval", |config| config.ping_interval = Some(Duration::ZERO)),
    ];
    for (field, change) in fields {
        assert_eq!(resolved(change).map(|_| ()), Err(ConfigError::Zero { field }));
    }
    let empty = |config: &mut Config| config.handshake_burst = 0;
    assert!(resolved(empty).is_ok(), "without a rate there is no bucket");
    let error = resolved(|config| (empty(config), config.handshake_rate = Some(1)).1);
    assert_eq!(error.map(|_| ()), Err(ConfigError::Zero { field: "handshake_burst" }));
    assert!(resolved(|config| config.close_timeout = Duration::ZERO).is_ok());
}

#[test]
fn a_limit_above_one_that_holds_first() {
    let above = |change: fn(&mut Config)| match resolved(change) {
        Err(ConfigError::Above { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let field = above(|config| config.connections_server_max = Some(2_000_001));
    assert_eq!(field, "connections_server_max");
    let field = above(|config| config.connections_address_max = Some(2_000_001));
    assert_eq!(field, "connections_address_max");
    let field = above(|config| {
        (config.connections_server_max, config.connections_address_max) = (Some(5), Some(6));
    });
    assert_eq!(field, "connections_address_max");
    let field = above(|config| config.outbox_age_max = Some(Duration::from_secs(29)));
    assert_eq!(field, "send_timeout");
    assert!(resolved(|config| config.connections_server_max = Some(2_000_000)).is_ok());
}

#[test]
fn no_time_is_too_long_to_be_kept() {
    assert!(resolved(|config| config.idle_timeout = Some(DURATION_MAX)).is_ok());
    let longer = DURATION_MAX + Duration::from_nanos(1);
    for (field, settings) in [
        ("idle_timeout", resolved(|config| config.idle_timeout = Some(longer))),
        ("stop_timeout", resolved(|config| config.stop_timeout = longer)),
        ("lifetime_max", resolved(|config| config.lifetime_max = Some(Duration::MAX))),
    ] {
        assert_eq!(settings.map(|_| ()), Err(ConfigError::TooLong { field }));
    }
}

#[test]
fn compression_that_no_one_knows() {
    let with = |change: fn(&mut Compression)| {
        let mut compression = Compression::shared();
        change(&mut compression);
        resolved(|config| config.compression = Some(compression)).map(|_| ())
    };
    assert_eq!(with(|_| ()), Ok(()));
    let wrong: [fn(&mut Compression); 6] = [
        |it| it.policy.server_max_window_bits = 8,
        |it| it.policy.client_max_window_bits = 16,
        |it| it.policy.memory_level = 0,
        |it| it.policy.memory_level = 10,
        |it| it.policy.level = 10,
        |it| it.ratio_max = 0,
    ];
    for change in wrong {
        assert_eq!(with(change), Err(ConfigError::Compression));
    }
}

#[test]
fn origins() {
    let list = Origins::List(vec!["https://example.com".into()]);
    assert!(list.allow(None, "example.com"));
    assert!(list.allow(Some(b"https://EXAMPLE.com"), "other"));
    assert!(!list.allow(Some(b"https://example.com.evil"), "example.com"));
    assert!(!list.allow(Some(b"null"), "example.com"));
    assert!(Origins::SameHost.allow(Some(b"http://example.com:80"), "Example.com:80"));
    assert!(!Origins::SameHost.allow(Some(b"http://example.com:81"), "example.com:80"));
    assert!(!Origins::SameHost.allow(Some(b"null"), "null"));
    assert!(Origins::Any.allow(Some(b"\xFF"), ""));
}
