//! The rows of `docs/CODES.md` that the backoffice answers with.

macro_rules! codes {
    ($($variant:ident $word:literal $status:literal $title:literal;)*) => {
        /// A stable machine word; the `code` member of a problem document (RFC 9457).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $(#[doc = $title] $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The word clients match on.
            #[must_use]
            pub fn word(self) -> &'static str { match self { $(Code::$variant => $word,)* } }
            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> u16 { match self { $(Code::$variant => $status,)* } }
            /// The `title` member: the same for every occurrence.
            #[must_use]
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title,)* } }
        }
    };
}

codes! {
    InvalidBody "invalid_body" 400 "The body is not what this route takes";
    InvalidParameter "invalid_parameter" 400 "A query parameter is not acceptable";
    InvalidPath "invalid_path" 400 "The path holds no valid identifier";
    MissingFields "missing_fields" 400 "A field that a new SKU needs is missing";
    Unauthorized "unauthorized" 401 "No valid token";
    Forbidden "forbidden" 403 "The token does not carry the role this needs";
    NotFound "not_found" 404 "No such resource";
    UnknownOrder "unknown_order" 404 "No such order of this user";
    MethodNotAllowed "method_not_allowed" 405 "The route does not take this method";
    WrongStatus "wrong_status" 409 "The order's status does not allow this";
    PaymentOpen "payment_in_progress" 409 "A charge of this order is open";
    ChargeClosed "charge_closed" 409 "This charge was closed before";
    DeadlineNear "deadline_too_near" 409 "Too little time is left to pay this order";
    AlreadyPaid "already_paid" 409 "Another charge has paid this order";
    RefundDue "refund_due" 409 "Paid too late and the stock is gone";
    ImportStarted "import_started" 409 "The import is being applied, or done";
    BelowCommitted "below_committed" 409 "Stock cannot go below what is held and sold";
    InvalidImport "invalid_import" 422 "The file cannot be imported as it is";
    Internal "internal" 500 "A fault of ours";
    Overloaded "overloaded" 503 "The request waited too long and was shed";
    AtBound "at_bound" 503 "A bound of the shard is reached";
    TryAgain "try_again" 503 "The attempt could not gather its stock in time";
    StoreUnavailable "store_unavailable" 503 "The store cannot be read or written";
    OutcomeUnknown "outcome_unknown" 504 "Decided, but not known durable in time";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_table_has_every_code_with_its_status_and_title() {
        let page = include_str!("../../../docs/CODES.md");
        for code in Code::ALL {
            let start = format!("| {} | `{}` |", code.status(), code.word());
            let row = page.lines().find(|line| line.starts_with(&start));
            let row = row.unwrap_or_else(|| panic!("docs/CODES.md lacks a row that starts with {start}"));
            assert!(
                row.contains(&format!("| {} |", code.title())),
                "another title: {row}"
            );
            match code.status() {
                503 => assert!(row.contains("| no |"), "503 means no: {row}"),
                504 => assert!(row.contains("| unknown |"), "504 means unknown: {row}"),
                _ => {}
            }
        }
    }
}
