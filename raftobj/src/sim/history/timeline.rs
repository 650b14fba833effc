//! A counterexample as text: a row for each client, a bar for each operation, and the replies that fit no order.

use super::model::Model;
use super::record::{ClientId, History, OperationId, Outcome, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Wider drawings label the operations with letters and list the texts below.
const COLUMNS_MAX: usize = 100;

/// One operation as it is drawn.
struct Bar {
    client: ClientId,
    label: String,
    begin: Timestamp,
    /// `None` if it may take effect at any later time.
    end: Option<Timestamp>,
}

/// Draws the operations; then lists the longest order and the replies that do not fit after it.
pub(super) fn draw<M: Model>(
    model: &M,
    history: &History<M::Call, M::Reply>,
    required: &[OperationId],
    optional: &[OperationId],
    order: &[OperationId],
    state: Option<M::State>,
) -> String {
    let text = |id: OperationId| {
        let operation = history.operation(id);
        match &operation.outcome {
            Outcome::Returned { reply, .. } if required.contains(&id) => {
                model.describe(&operation.call, Some(reply))
            }
            _ => model.describe(&operation.call, None),
        }
    };
    let mut shown: Vec<OperationId> = required.iter().chain(optional).copied().collect();
    shown.sort_by_key(|id| (history.operation(*id).invoked_at, *id));
    let bars = |label: &dyn Fn(usize, OperationId) -> String| -> Vec<Bar> {
        let bar = |(number, id): (usize, &OperationId)| {
            let operation = history.operation(*id);
            let end = match operation.outcome {
                Outcome::Returned { at, .. } if required.contains(id) => Some(at),
                _ => None,
            };
            Bar { client: operation.client, label: label(number, *id), begin: operation.invoked_at, end }
        };
        shown.iter().enumerate().map(bar).collect()
    };

    let mut drawn = rows(&bars(&|_, id| text(id)));
    if drawn.lines().any(|line| line.chars().count() > COLUMNS_MAX) {
        drawn = rows(&bars(&|number, _| letters(number)));
        for (number, id) in shown.iter().enumerate() {
            let _ = writeln!(drawn, "  {} = {}", letters(number), text(*id));
        }
    }
    if !optional.is_empty() {
        drawn.push_str("  ~ may have taken effect at any later time, or never\n");
    }
    let Some(state) = state else { return drawn };
    let names: Vec<String> = order.iter().map(|id| text(*id)).collect();
    let names = if names.is_empty() { "none".into() } else { names.join("; ") };
    let _ = writeln!(drawn, "longest order: {names}\nthen the state is {state:?}, where");
    for id in next(history, required, order) {
        let operation = history.operation(id);
        let reply = model.apply(&mut state.clone(), &operation.call);
        let right = model.describe(&operation.call, Some(&reply));
        let _ = writeln!(drawn, "  {}: {} should have been {right}", operation.client, text(id));
    }
    drawn
}

/// The required operations that could come next: of those not placed, the ones invoked before the first return.
fn next<C, R>(history: &History<C, R>, required: &[OperationId], order: &[OperationId]) -> Vec<OperationId> {
    let unplaced = || required.iter().filter(|id| !order.contains(id)).copied();
    let end = |id: OperationId| match history.operation(id).outcome {
        Outcome::Returned { at, .. } => Some(at),
        _ => None,
    };
    let first = unplaced().filter_map(end).min();
    unplaced().filter(|id| first.is_none_or(|first| history.operation(*id).invoked_at <= first)).collect()
}

/// a, b, … z, a1, b1, …
fn letters(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    if number < 26 { letter.into() } else { format!("{letter}{}", number / 26) }
}

/// Assigns columns event by event, wide enough for the label between the two ends of a bar. Only the order of columns
/// has a meaning, distances have none.
fn rows(bars: &[Bar]) -> String {
    let mut events: Vec<(Timestamp, bool, usize)> = Vec::new();
    for (number, bar) in bars.iter().enumerate() {
        events.push((bar.begin, false, number));
        events.extend(bar.end.map(|end| (end, true, number)));
    }
    events.sort_unstable();
    let (mut begins, mut ends) = (vec![0; bars.len()], vec![None; bars.len()]);
    let (mut column, mut was_end) = (0, false);
    for (_, is_end, number) in events {
        if is_end {
            column = (column + 1).max(begins[number] + width(&bars[number]) - 1);
            ends[number] = Some(column);
        } else {
            // A gap, so that two bars of a row do not touch.
            column += usize::from(was_end);
            begins[number] = column;
        }
        column += 1;
        was_end = is_end;
    }
    let line_width =
        (0..bars.len()).map(|number| ends[number].unwrap_or(begins[number] + width(&bars[number])));
    let line_width = line_width.max().unwrap_or(0) + 1;

    // A client that did not wait for a reply has bars that overlap: it gets one more row.
    let mut lanes: BTreeMap<(ClientId, usize), (Option<usize>, Vec<char>)> = BTreeMap::new();
    let mut order: Vec<usize> = (0..bars.len()).collect();
    order.sort_by_key(|number| begins[*number]);
    for number in order {
        let bar = &bars[number];
        let mut lane = 0;
        while let Some((until, _)) = lanes.get(&(bar.client, lane))
            && until.is_none_or(|until| until >= begins[number])
        {
            lane += 1;
        }
        let (until, line) =
            lanes.entry((bar.client, lane)).or_insert_with(|| (Some(0), vec![' '; line_width]));
        *until = ends[number];
        paint(line, bar, begins[number], ends[number].unwrap_or(line_width - 1));
    }
    let names: BTreeSet<String> = bars.iter().map(|bar| bar.client.to_string()).collect();
    let name_width = names.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for ((client, _), (_, line)) in lanes {
        let line: String = line.into_iter().collect();
        let _ = writeln!(text, "{:name_width$}  {}", client.to_string(), line.trim_end());
    }
    text
}

/// `|--label--|`
fn width(bar: &Bar) -> usize {
    bar.label.chars().count() + 6
}

fn paint(line: &mut [char], bar: &Bar, begin: usize, end: usize) {
    let is_open = bar.end.is_none();
    line[begin..=end].fill(if is_open { '~' } else { '-' });
    line[begin] = '|';
    if !is_open {
        line[end] = '|';
    }
    for (at, letter) in bar.label.chars().enumerate() {
        line[begin + 3 + at] = letter;
    }
}
