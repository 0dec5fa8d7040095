//! Bytes of a body into a command for a shard. Strict: an unknown member is an error, not a surprise later.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tidegate_shard_core::{ChargeId, Line, Lines, SkuName};

use crate::codes::Code;
use crate::worker::answer::parse_rfc3339;
use crate::worker::refusal::Refusal;

/// Lines an order may have (a client's cart, not a wholesale list).
pub const LINES_MAX: usize = 16;
/// Units a line may ask for; a real order asks for single digits, and the sum of 16 such lines fits 32 bits.
pub const QTY_MAX: u32 = 1_000_000;

/// The lines of an order: distinct SKUs, sorted by name, so that equal carts are equal bytes.
pub fn lines(body: &[u8]) -> Result<Lines, Refusal> {
    let OrderBody(mut lines) = serde_json::from_slice(body).map_err(|e| invalid(&e))?;
    if lines.is_empty() {
        return Err(Refusal::new(Code::InvalidLines, "an order has at least one line"));
    }
    lines.sort_unstable_by_key(|line| line.sku);
    if let Some(pair) = lines.windows(2).find(|pair| pair[0].sku == pair[1].sku) {
        let detail = format!(
            "the SKU {} is in two lines; put its units into one",
            pair[0].sku.as_str()
        );
        return Err(Refusal::new(Code::InvalidLines, detail));
    }
    Ok(lines)
}

fn invalid(error: &serde_json::Error) -> Refusal {
    Refusal::new(Code::InvalidBody, error.to_string())
}

/// `{"lines":[{"sku":"SKU-1","qty":1}]}` read without a tree in between.
struct OrderBody(Lines);

impl<'de> Deserialize<'de> for OrderBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OrderBody, D::Error> {
        deserializer.deserialize_map(OrderVisitor)
    }
}

struct OrderVisitor;

impl<'de> Visitor<'de> for OrderVisitor {
    type Value = OrderBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object {\"lines\":[{\"sku\":\"SKU-1\",\"qty\":1}]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OrderBody, A::Error> {
        let mut lines = None;
        while let Some(Word(key)) = map.next_key()? {
            match key.as_ref() {
                "lines" if lines.is_none() => lines = Some(map.next_value::<LineList>()?.0),
                "lines" => return Err(de::Error::duplicate_field("lines")),
                other => {
                    let error = de::Error::unknown_field(other, &["lines"]);
                    map.next_value::<IgnoredAny>()?;
                    return Err(error);
                }
            }
        }
        lines
            .map(OrderBody)
            .ok_or_else(|| de::Error::missing_field("lines"))
    }
}

struct LineList(Lines);

impl<'de> Deserialize<'de> for LineList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LineList, D::Error> {
        deserializer.deserialize_seq(LineListVisitor)
    }
}

struct LineListVisitor;

impl<'de> Visitor<'de> for LineListVisitor {
    type Value = LineList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of up to 16 lines")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<LineList, A::Error> {
        let mut lines = Lines::new();
        while let Some(LineBody(line)) = seq.next_element()? {
            if lines.len() == LINES_MAX {
                return Err(de::Error::custom("an order has at most 16 lines"));
            }
            lines.push(line);
        }
        Ok(LineList(lines))
    }
}

struct LineBody(Line);

impl<'de> Deserialize<'de> for LineBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LineBody, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = LineBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line {\"sku\":\"SKU-1\",\"qty\":1}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LineBody, A::Error> {
        let (mut sku, mut qty) = (None, None);
        while let Some(Word(key)) = map.next_key()? {
            match key.as_ref() {
                "sku" if sku.is_none() => {
                    let Word(text) = map.next_value()?;
                    let name = SkuName::parse(text.as_bytes());
                    sku = Some(name.map_err(|_| {
                        de::Error::custom("a SKU is 1 to 47 characters of A-Z a-z 0-9 . _ : -")
                    })?);
                }
                "qty" if qty.is_none() => qty = Some(map.next_value::<u32>()?),
                "sku" => return Err(de::Error::duplicate_field("sku")),
                "qty" => return Err(de::Error::duplicate_field("qty")),
                other => return Err(de::Error::unknown_field(other, &["sku", "qty"])),
            }
        }
        let sku = sku.ok_or_else(|| de::Error::missing_field("sku"))?;
        let qty = qty.ok_or_else(|| de::Error::missing_field("qty"))?;
        if !(1..=QTY_MAX).contains(&qty) {
            return Err(de::Error::custom("qty is a number from 1 to 1000000"));
        }
        Ok(LineBody(Line { sku, qty }))
    }
}

/// A string borrowed from the body where it holds no escape.
struct Word<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word<'a>, D::Error> {
        struct WordVisitor;
        impl<'de> Visitor<'de> for WordVisitor {
            type Value = Word<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(WordVisitor)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmBody<'a> {
    #[serde(borrow)]
    charge: Cow<'a, str>,
}

/// The charge of `{"charge":"ch_1"}`.
pub fn charge(body: &[u8]) -> Result<ChargeId, Refusal> {
    let body: ConfirmBody<'_> = serde_json::from_slice(body).map_err(|e| invalid(&e))?;
    ChargeId::parse(body.charge.as_bytes()).map_err(|_| {
        Refusal::new(
            Code::InvalidBody,
            "a charge id is 1 to 63 visible ASCII characters",
        )
    })
}

/// The body of `PUT /v1/skus/{sku}`. A member that is left out keeps its value; `null` clears an optional one.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the members of the JSON body, explained in the README"
)]
pub struct SkuBody {
    pub name: Option<String>,
    pub price: Option<u64>,
    pub currency: Option<String>,
    pub stock: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    pub buyer_limit: Option<Option<u32>>,
    pub limit_scope: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub sale_start: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub sale_end: Option<Option<String>>,
    pub hold_seconds: Option<u32>,
    pub paused: Option<bool>,
}

/// Tells `null` (clear it) from absence (keep it).
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Reads the body of a SKU.
pub fn sku(body: &[u8]) -> Result<SkuBody, Refusal> {
    serde_json::from_slice(body).map_err(|e| invalid(&e))
}

/// A time of a SKU's sale, RFC 3339, to unix milliseconds.
pub fn sale_time(field: &str, text: &str) -> Result<u64, Refusal> {
    parse_rfc3339(text).ok_or_else(|| {
        Refusal::new(
            Code::InvalidBody,
            format!("{field} is a time as in 2026-11-27T10:00:00Z (RFC 3339), not {text:?}"),
        )
    })
}

/// The body of `POST /v1/skus/{sku}/stock-changes`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockChangeBody {
    /// Units added; negative: taken away.
    pub delta: i64,
    /// Why, for the record.
    pub reason: String,
}

/// Reads a stock change.
pub fn stock_change(body: &[u8]) -> Result<StockChangeBody, Refusal> {
    let change: StockChangeBody = serde_json::from_slice(body).map_err(|e| invalid(&e))?;
    if change.delta == 0 || change.reason.is_empty() || change.reason.len() > 200 {
        return Err(Refusal::new(
            Code::InvalidBody,
            "delta is a number other than 0, reason 1 to 200 bytes of text",
        ));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_sorted_by_sku_whatever_order_the_client_wrote() {
        let a = lines(br#"{"lines":[{"sku":"B","qty":2},{"qty":1,"sku":"A"}]}"#).unwrap();
        let b = lines(br#" {"lines" : [{"sku":"A","qty":1},{"sku":"\u0042","qty":2}]} "#).unwrap();
        assert_eq!(a, b);
        assert_eq!(a[0].sku.as_str(), "A");
    }

    #[test]
    fn a_bad_order_says_what_is_wrong() {
        for (body, words) in [
            (&br#"{"lines":[]}"#[..], "at least one line"),
            (br#"{"lines":[{"sku":"A","qty":0}]}"#, "qty is a number from 1"),
            (
                br#"{"lines":[{"sku":"A","qty":1},{"sku":"A","qty":1}]}"#,
                "two lines",
            ),
            (br#"{"lines":[{"sku":"a b","qty":1}]}"#, "a SKU is 1 to 47"),
            (br#"{"lines":[{"sku":"A"}]}"#, "missing field `qty`"),
            (br#"{"lines":[{"sku":"A","qty":1,"x":1}]}"#, "unknown field `x`"),
            (br#"{"items":[]}"#, "unknown field `items`"),
            (br#"{"lines":[{"sku":"A","qty":-1}]}"#, "invalid value"),
            (br#"{"lines":[{"sku":"A","qty":1}]} x"#, "trailing characters"),
            (br#""#, "EOF"),
        ] {
            let refusal = lines(body).unwrap_err();
            assert!(
                format!("{refusal:?}").contains(words),
                "{refusal:?} lacks {words:?}"
            );
        }
        let many: Vec<String> = (0..17)
            .map(|n| format!("{{\"sku\":\"S{n}\",\"qty\":1}}"))
            .collect();
        assert!(lines(format!("{{\"lines\":[{}]}}", many.join(",")).as_bytes()).is_err());
    }

    #[test]
    fn null_clears_and_absence_keeps() {
        assert_eq!(sku(br#"{"buyer_limit":null}"#).unwrap().buyer_limit, Some(None));
        assert_eq!(sku(br#"{"buyer_limit":2}"#).unwrap().buyer_limit, Some(Some(2)));
        assert_eq!(sku(b"{}").unwrap().buyer_limit, None);
    }
}
