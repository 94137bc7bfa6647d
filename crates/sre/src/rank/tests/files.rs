//! Tables and graphs as text.

use super::*;
use layout::Table;

#[test]
fn tables_hold_gaps_quotes_and_both_forms_of_time() {
    let text = "\u{feff}time,\"a,b_cpu\",c_mem\n10,1.5,\n\n2026-01-01T00:00:00Z,nan,null\n";
    let table = Table::read(text, 1).unwrap();
    assert_eq!(table.heads, [["a,b_cpu"], ["c_mem"]]);
    assert_eq!(table.times, [10.0, 1_767_225_600.0]);
    assert_eq!(table.columns[0][0], 1.5);
    assert!(table.columns[0][1].is_nan() && table.columns[1][0].is_nan());
}

#[test]
fn what_is_wrong_with_a_table_is_said_with_its_line() {
    let said = |text: &str| Table::read(text, 1).unwrap_err().to_string();
    assert!(said("").starts_with("line 1: there is no line of values"));
    assert!(said("time\n1\n").starts_with("line 1: fewer than two columns"));
    assert!(said("time,a\n1,2\n1,2,3\n").starts_with("line 3: 3 cells, line 1 has 2"));
    assert!(said("time,a\n1,x\n").starts_with("line 2: \"x\" is no number"));
    assert!(said("time,a\n1e99,1\n").starts_with("line 2: \"1e99\" is no time"));
    assert!(said("time,a,a\n1,1,1\n").starts_with("line 1: two columns are called \"a\""));
    assert!(said("time,a\n2,1\n1,1\n").starts_with("line 3: the time \"1\" is before"));
    assert!(said("time,\"a\n1,1\n").starts_with("line 1: a quote that does not end"));
}

#[test]
fn two_tables_make_a_window_even_where_both_begin_at_zero() {
    let table = |from: f64| {
        let rows: String =
            (0..30).map(|row| format!("{row},{}\n", from + f64::from(row % 3))).collect();
        Table::read(&format!("time,my_service_cpu\n{rows}"), 1).unwrap()
    };
    let window = two::window(&table(1.0), &table(9.0), &[]).unwrap();
    assert_eq!(
        (window.services[0].as_str(), window.series[0].name.as_str()),
        ("my", "service_cpu")
    );
    let (before, since) = window.series[0].split(window.split);
    assert_eq!((before.len(), since.len()), (30, 30));
    assert!(before[29].0 < since[0].0);
    let calls = two::calls("caller,callee\nmy_service,store\n").unwrap();
    let window = two::window(&table(1.0), &table(9.0), &calls).unwrap();
    assert_eq!(window.services[window.series[0].service], "my_service");
    let other = Table::read("time,x\n1,1\n", 1).unwrap();
    assert!(two::window(&table(1.0), &other, &[]).is_err());
    assert!(two::calls("a,b,c\n").unwrap_err().to_string().starts_with("line 1: 3 cells"));
}

#[test]
fn a_graph_is_a_matrix_of_callers_and_callees() {
    let calls = petshop::graph(",a,b\na,0,1\nb,,0\n").unwrap();
    assert_eq!(calls, [("a".to_owned(), "b".to_owned())]);
    assert!(petshop::graph(",a,b\na,0\n").unwrap_err().to_string().starts_with("line 2: 2 cells"));
    assert!(petshop::graph(",a\na,x\n").unwrap_err().to_string().starts_with("line 2: \"x\""));
    let error = petshop::issue("{\n\"target\": 3}").unwrap_err().to_string();
    assert!(error.starts_with("line 2: "), "{error}");
    let heads = ",a,\nmicroservice,a,\nmetric,latency,\nindex,,\n1,2,3\n";
    assert!(petshop::metrics(heads).unwrap_err().to_string().contains("column 3 has no name"));
}
