//! The published table of answers: every machine word a client can meet, its status, and whether anything was
//! reserved when it is said. `docs/CODES.md` is this table in prose; a test holds the two together.

/// Whether stock may be held when this answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Certainly nothing was reserved by this request.
    No,
    /// The order exists; this request did not change it.
    Unchanged,
    /// Decided but not known durable: ask again with the same key.
    Unknown,
}

impl Reserved {
    /// The word of the published table.
    pub fn word(self) -> &'static str {
        match self {
            Reserved::No => "no",
            Reserved::Unchanged => "unchanged",
            Reserved::Unknown => "unknown",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $word:literal $status:literal $reserved:ident $title:literal $retry:literal;)*) => {
        /// A stable machine word; the `code` member of a problem document (RFC 9457).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Code { $(#[doc = $title] $variant,)* }

        impl Code {
            /// Every code, in the order of the published table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The word clients match on.
            pub fn word(self) -> &'static str { match self { $(Code::$variant => $word,)* } }
            /// The HTTP status.
            pub fn status(self) -> u16 { match self { $(Code::$variant => $status,)* } }
            /// What this answer says about stock.
            pub fn reserved(self) -> Reserved { match self { $(Code::$variant => Reserved::$reserved,)* } }
            /// The `title` member: the same for every occurrence.
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title,)* } }
            /// How to retry, in words.
            pub fn retry(self) -> &'static str { match self { $(Code::$variant => $retry,)* } }
        }
    };
}

codes! {
    InvalidBody "invalid_body" 400 No "The body is not what this route takes" "fix the request";
    InvalidLines "invalid_lines" 400 No "The order's lines are not acceptable" "fix the request";
    InvalidPath "invalid_path" 400 No "The path holds no valid identifier" "fix the request";
    MissingKey "missing_idempotency_key" 400 No "The Idempotency-Key header is missing" "send a key, unique per order";
    InvalidKey "invalid_idempotency_key" 400 No "The Idempotency-Key header is not acceptable" "1 to 128 visible ASCII characters";
    MixedCurrencies "mixed_currencies" 400 No "The lines are priced in more than one currency" "place an order per currency";
    MissingFields "missing_fields" 400 No "A field that a new SKU needs is missing" "fix the request";
    Unauthorized "unauthorized" 401 No "No valid token" "send a valid bearer token";
    Forbidden "forbidden" 403 No "The token does not carry the role this needs" "do not retry";
    NotFound "not_found" 404 No "No such resource" "do not retry";
    UnknownSku "unknown_sku" 404 No "No such SKU" "do not retry";
    UnknownOrder "unknown_order" 404 No "No such order of this user" "do not retry";
    MethodNotAllowed "method_not_allowed" 405 No "The route does not take this method" "see the Allow header";
    SoldOut "sold_out" 409 No "Not enough units are available" "try again: held units may come back";
    LimitReached "limit_reached" 409 No "The buyer's limit is reached" "do not retry";
    NotOnSale "not_on_sale" 409 No "The sale has not begun" "after Retry-After";
    SaleEnded "sale_ended" 409 No "The sale is over" "do not retry";
    Paused "paused" 409 No "The sale of this SKU is paused" "after Retry-After";
    WrongStatus "wrong_status" 409 Unchanged "The order's status does not allow this" "do not retry";
    PaymentOpen "payment_in_progress" 409 Unchanged "A charge of this order is open" "when the charge is closed";
    ChargeClosed "charge_closed" 409 Unchanged "This charge was closed before" "start a new charge";
    DeadlineNear "deadline_too_near" 409 Unchanged "Too little time is left to pay this order" "place a new order";
    AlreadyPaid "already_paid" 409 Unchanged "Another charge has paid this order" "refund the second charge";
    RefundDue "refund_due" 409 Unchanged "Paid too late and the stock is gone" "refund the charge";
    BelowCommitted "below_committed" 409 No "Stock cannot go below what is held and sold" "use a larger number";
    UnsupportedMedia "unsupported_media_type" 415 No "The body must be application/json" "fix the request";
    Misdirected "misdirected_request" 421 No "This connection's certificate does not cover that host" "open another connection";
    KeyReused "key_reused" 422 No "The key was used with another body" "use a new key";
    RateLimited "rate_limited" 429 No "Too many requests" "after Retry-After";
    Internal "internal" 500 Unknown "A fault of ours" "retry with the same key";
    Overloaded "overloaded" 503 No "The request waited too long and was shed" "after Retry-After";
    BacklogFull "backlog_full" 503 No "The log owes the store more than its bound" "after Retry-After";
    LogFull "log_full" 503 No "The log's disk is full or too slow" "after Retry-After";
    ShardStalled "shard_stalled" 503 No "The shard's log makes no progress" "after Retry-After";
    OutOfService "out_of_service" 503 No "An operator has taken this SKU's shard out of service" "after Retry-After";
    AtBound "at_bound" 503 No "A bound of the shard is reached" "after Retry-After";
    TryAgain "try_again" 503 No "The attempt could not gather its stock in time" "after Retry-After";
    ShuttingDown "shutting_down" 503 No "This gateway is draining" "on another connection";
    BackofficeBusy "backoffice_busy" 503 No "The backoffice has as much to do as it may" "after Retry-After";
    BackofficeUnavailable "backoffice_unavailable" 503 No "There is no backoffice to ask now" "after Retry-After";
    OutcomeUnknown "outcome_unknown" 504 Unknown "Decided, but not known durable in time" "retry with the same key";
    BackofficeNoAnswer "backoffice_no_answer" 504 Unknown "The backoffice was asked and gave no answer" "ask again, with the same key if there was one";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_503_means_that_nothing_was_reserved_and_every_504_that_it_is_unknown() {
        for code in Code::ALL {
            match code.status() {
                503 => assert_eq!(code.reserved(), Reserved::No, "{}", code.word()),
                504 => assert_eq!(code.reserved(), Reserved::Unknown, "{}", code.word()),
                _ => {}
            }
        }
    }

    #[test]
    fn a_word_names_one_code_only() {
        let mut words: Vec<_> = Code::ALL.iter().map(|c| c.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
    }

    #[test]
    fn the_published_table_is_this_table() {
        let page = include_str!("../../docs/CODES.md");
        for code in Code::ALL {
            let row = format!(
                "| {} | `{}` | {} | {} | {} |",
                code.status(),
                code.word(),
                code.reserved().word(),
                code.title(),
                code.retry()
            );
            assert!(page.contains(&row), "docs/CODES.md lacks this row:\n{row}");
        }
    }
}
