//! Rows of values that a statement reads as a table.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, DatabaseBackend, Value};

/// Rows of values as a table called `name` with the columns `column1`, `column2` and so on, to stand behind FROM or JOIN. Its
/// values are added to those of the statement. No row: a table that is not valid SQL on SQLite.
///
/// On PostgreSQL each column is one array: one text serves any number of rows, so that it is parsed and planned once a
/// connection. A column has values of one kind, and no NULL.
pub fn table<const N: usize>(
    connection: &impl ConnectionTrait,
    name: &str,
    rows: impl IntoIterator<Item = [Value; N]>,
    values: &mut Vec<Value>,
) -> String {
    if connection.get_database_backend() == DatabaseBackend::Postgres {
        arrays(name, rows, values)
    } else {
        let first = values.len() + 1;
        values.extend(rows.into_iter().flatten());
        let count = (values.len() + 1 - first) / N;
        format!("(VALUES {}) AS {name}", rows_placeholder(count, N, first))
    }
}

fn arrays<const N: usize>(name: &str, rows: impl IntoIterator<Item = [Value; N]>, values: &mut Vec<Value>) -> String {
    let mut columns: [Vec<Value>; N] = std::array::from_fn(|_| Vec::new());
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let mut text = String::from("unnest(");
    for column in columns {
        let kind = column.first().map_or(sea_orm::sea_query::ArrayType::String, Value::array_type);
        values.push(Value::Array(kind, Some(Box::new(column))));
        // Writing to a String can't fail.
        let _written = write!(text, "${},", values.len());
    }
    text.pop();
    let names: Vec<String> = (1..=N).map(|number| format!("column{number}")).collect();
    let _written = write!(text, ") AS {name} ({})", names.join(","));
    text
}

/// Placeholders for a multi-row insert: `($1,$2),($3,$4)` for two rows of two columns, counting on from `first`.
pub fn rows_placeholder(rows: usize, columns: usize, first: usize) -> String {
    let mut text = String::with_capacity(rows * (columns * 5 + 2));
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..columns {
            if column > 0 {
                text.push(',');
            }
            let _written = write!(text, "${}", first + row * columns + column);
        }
        text.push(')');
    }
    text
}
