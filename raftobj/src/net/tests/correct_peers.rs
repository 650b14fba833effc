//! Correct peers: order, reconnects, refusals, shutdown.

use super::*;

/// Messages of a lane arrive whole and in the order in which they were queued.
#[test]
fn both_lanes_deliver_messages_in_order() {
    run(async {
        let (a, b) = (Node::start(1), Node::start(2));
        let (to_b, to_a) = (a.connect(&b.address).await, b.connect(&a.address).await);
        for (from, link, to) in [(&a, to_b, &b), (&b, to_a, &a)] {
            let mut next = [0_u32; 2];
            for number in 0..20_000_u32 {
                let size = if number % 1000 == 0 { 100_000 } else { number as usize % 300 };
                for lane in Lane::ALL {
                    let payload = [&number.to_le_bytes()[..], &vec![number as u8; size]].concat();
                    from.send(link, lane, &payload).unwrap();
                }
                if number % 2000 == 1999 {
                    while next != [number + 1; 2] {
                        let message = to.receive().await;
                        let (head, body) = message.payload.split_first_chunk().unwrap();
                        let expected = &mut next[message.lane as usize];
                        assert_eq!(message.from, PeerKey(from.handler.key));
                        assert_eq!(u32::from_le_bytes(*head), *expected, "on {:?}", message.lane);
                        assert!(body.iter().all(|&byte| byte == *expected as u8));
                        *expected += 1;
                    }
                }
            }
        }
        let status = a.net.status();
        assert!(status.dialled.iter().all(|lane| lane.frames == 20_000 && lane.bytes_waiting == 0));
        assert!(status.accepted.iter().all(|lane| lane.frames == 20_000 && lane.peer == PeerKey(2)));
        assert_eq!((status.dialled.len(), status.accepted.len(), status.inbox_bytes), (2, 2, 0));
    });
}

/// A message sent while the peer is down is dropped with an error; when the peer is back, messages arrive.
#[test]
fn a_peer_that_restarts_is_connected_again() {
    run(async {
        let (a, b) = (Node::start(1), Node::start(2));
        let link = a.connect(&b.address).await;
        b.receives_from(&a, link).await;
        let address = b.address.clone();
        b.net.shutdown().await;
        until("no lane is connected", || !a.net.status().dialled.iter().any(|lane| lane.connected.is_some()))
            .await;
        assert_eq!(a.send(link, Lane::Control, b"x"), Err(SendError::Disconnected));
        assert_eq!(a.handler.count(|event| matches!(event, Event::Disconnected(2, _, End::Dialled, _))), 2);
        let b = Node::with(3, &address, quick());
        until("it is connected again", || a.is_connected(link)).await;
        b.receives_from(&a, link).await;
        let control = &a.net.status().dialled[0];
        assert_eq!((control.connections, control.dropped), (2, 1));
        assert_eq!(control.connected, Some(PeerKey(3)));
    });
}

/// A command of 32 MiB must not delay a heartbeat that is sent after it.
#[test]
fn control_messages_overtake_a_large_one() {
    run(async {
        let (a, b) = (Node::start(1), Node::start(2));
        let (to_b, to_a) = (a.connect(&b.address).await, b.connect(&a.address).await);
        let large = Bytes::from(vec![7; 32 << 20]);
        a.net.send(to_b, Lane::Bulk, |payload| payload.share(&large)).unwrap();
        a.send(to_b, Lane::Control, b"ping").unwrap();
        let mut round_trips = 0;
        let found = bounded("the large message", async {
            loop {
                while let Some(message) = a.net.pop() {
                    assert_eq!(message.payload, "pong");
                    round_trips += 1;
                    a.send(to_b, Lane::Control, b"ping").unwrap();
                }
                match b.net.pop() {
                    Some(message) if message.lane == Lane::Bulk => return message.payload,
                    Some(_) => b.send(to_a, Lane::Control, b"pong").unwrap(),
                    None => first_ready(a.net.arrived(), b.net.arrived()).await,
                }
            }
        })
        .await;
        assert!(found == large);
        assert!(round_trips >= 3, "{round_trips} round trips beside 32 MiB");
    });
}

/// Users give names, and IPv6 addresses in brackets.
#[test]
fn names_and_ipv6_addresses_are_dialled() {
    run(async {
        let a = Node::start(1);
        let b = Node::with(2, "localhost:0", quick());
        let port = b.address.rsplit(':').next().unwrap();
        let link = a.connect(&format!("localhost:{port}")).await;
        b.receives_from(&a, link).await;
        let Ok(listener) = bind("[::1]:0") else {
            return eprintln!("no IPv6 on this machine: not tested");
        };
        let c = Node::on(3, listener, quick());
        assert!(c.address.starts_with("[::1]:"), "{}", c.address);
        let link = a.connect(&c.address).await;
        c.receives_from(&a, link).await;
    });
}

/// After a refusal by either end, both ends report the reason and neither reports a connection.
#[test]
fn a_refusal_reaches_both_ends() {
    run(async {
        let (a, b) = (Node::start(1), Node::start(2));
        b.handler.refuses.borrow_mut().push(1);
        let link = a.net.dial(&b.address);
        let refused = Event::Refused(End::Dialled, "2 refuses 1".to_string());
        until("the acceptor's refusal is reported", || a.handler.count(|event| *event == refused) >= 2).await;
        assert_eq!(a.send(link, Lane::Control, b"x"), Err(SendError::Disconnected));

        // The dialler's refusal, after the acceptor's welcome.
        b.handler.refuses.borrow_mut().clear();
        a.handler.refuses.borrow_mut().push(2);
        let refused = Event::Refused(End::Accepted, "1 refuses 2".to_string());
        until("the dialler's refusal is reported", || b.handler.count(|event| *event == refused) >= 2).await;
        assert_eq!(b.handler.count(|event| matches!(event, Event::Connected(..))), 0);

        a.handler.refuses.borrow_mut().clear();
        until("both lanes are connected", || a.is_connected(link)).await;
        b.receives_from(&a, link).await;
    });
}

/// A peer notices the loss of its connection before we do: its new connection must replace the older one.
#[test]
fn a_newer_connection_replaces_the_older() {
    run(async {
        let b = Node::start(2);
        let first = Node::start(1);
        let link = first.connect(&b.address).await;
        b.receives_from(&first, link).await;
        let second = Node::start(1);
        let link = second.connect(&b.address).await;
        let replaced =
            |lane| Event::Disconnected(1, lane, End::Accepted, "replaced by a newer connection".to_string());
        until("both are replaced", || {
            Lane::ALL.iter().all(|&lane| b.handler.count(|event| *event == replaced(lane)) > 0)
        })
        .await;
        let ended = |event: &Event| matches!(event, Event::Disconnected(2, _, End::Dialled, _));
        until("the older ones are closed", || first.handler.count(ended) >= 2).await;
        first.net.shutdown().await;
        let is_connected = || b.net.status().accepted.len() == 2 && second.is_connected(link);
        until("the newer ones are connected", is_connected).await;
        b.receives_from(&second, link).await;
    });
}

/// Queued messages are sent; then the port is free at once, although connections were open on it.
#[test]
fn shutdown_flushes_and_frees_the_port() {
    run(async {
        let (a, b) = (Node::start(1), Node::start(2));
        let link = a.connect(&b.address).await;
        b.connect(&a.address).await;
        a.send(link, Lane::Bulk, b"the last message").unwrap();
        a.net.shutdown().await;
        drop(bind(&a.address).unwrap());
        assert_eq!(b.receive().await.payload, "the last message");
        // Dropped without a shutdown: its tasks end when the runtime next runs.
        let address = b.address.clone();
        drop(b);
        until("the port is free", || bind(&address).is_ok()).await;
    });
}

/// A peer that is known to be up is dialled at once.
#[test]
fn redial_now_ends_the_wait() {
    run(async {
        let free = bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let day = 24 * 3600 * 1000;
        let a =
            Node::with(1, "127.0.0.1:0", NetOptions { backoff_ms_min: day, backoff_ms_max: day, ..quick() });
        let link = a.net.dial(&address);
        // Both lanes have failed once before the listener exists.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let b = Node::with(2, &address, quick());
        until("both lanes are connected", || {
            a.net.redial_now(link);
            a.is_connected(link)
        })
        .await;
        b.receives_from(&a, link).await;
    });
}

/// A user who mistypes an address sees these messages.
#[test]
fn an_address_that_cannot_be_listened_on_is_explained() {
    let listener = bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (address, message) in [
        (&*taken, "the port is in use"),
        ("192.0.2.1:4321", "no address of this machine"),
        ("127.0.0.1", "does not resolve"),
        ("no-such-host.invalid:1", "does not resolve"),
    ] {
        let error = bind(address).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains(address), "{error}");
    }
}
