//! The extensions that a client offers or a server has chosen (RFC 6455 section 9.1).

use alloc::borrow::Cow;

use super::list::Cursor;

/// One extension of a `Sec-WebSocket-Extensions` header, with its parameters.
///
/// ```
/// use ringwire_protocol::handshake::Request;
///
/// let head = b"GET / HTTP/1.1\r\nHost: a\r\n\
///     Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\"10\"\r\n\r\n";
/// let request = Request::parse(head)?;
/// let offer = request.extensions().next().ok_or("no offer")?;
/// assert_eq!(offer.name, "permessage-deflate");
/// let parameter = offer.parameters().next().ok_or("no parameter")?;
/// assert_eq!(parameter.name, "server_max_window_bits");
/// assert_eq!(parameter.value.as_deref(), Some("10"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The extension's token. Two offers may bear the same name: they are alternatives, the
    /// preferred one first.
    pub name: &'a str,
    /// Everything after the name, of which `parse` has checked the grammar.
    parameters: &'a [u8],
}

/// One parameter of an [`Extension`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The parameter's token.
    pub name: &'a str,
    /// The token after `=`, if there is one, without quotes and escapes.
    pub value: Option<Cow<'a, str>>,
}

impl<'a> Extension<'a> {
    /// The parameters in their order. A name may occur twice: whether that is an error is for
    /// the extension to say.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.parameters);
        core::iter::from_fn(move || next_parameter(&mut cursor).ok().flatten())
    }

    /// Passes one extension.
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let name = cursor.token().ok_or(Malformed)?;
        let before = *cursor;
        while next_parameter(cursor)?.is_some() {}
        Ok(Self { name, parameters: before.until(cursor) })
    }
}

/// The extensions in the values of all lines of one head, in their order. After an error there
/// is nothing more of that line.
pub(super) fn extensions<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Extension<'a>, Malformed>> {
    values.flat_map(|value| {
        let mut cursor = Cursor::new(value);
        core::iter::from_fn(move || {
            //= RFC 6455 9.1: this header field MAY be split or combined across multiple lines
            // Empty elements are no extensions, and no errors (RFC 9110 5.6.1.2).
            while cursor.delimiter(b',') {}
            if cursor.rest().is_empty() {
                return None;
            }
            let extension = next_extension(&mut cursor);
            if extension.is_err() {
                cursor = Cursor::new(&[]);
            }
            Some(extension)
        })
    })
}

/// That a header breaks the grammar of RFC 6455 section 9.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Passes one extension, which a comma or the end must follow.
fn next_extension<'a>(cursor: &mut Cursor<'a>) -> Result<Extension<'a>, Malformed> {
    let extension = Extension::parse(cursor)?;
    let followed = cursor.rest().is_empty() || cursor.delimiter(b',') || cursor.rest().is_empty();
    if followed { Ok(extension) } else { Err(Malformed) }
}

/// Passes `; name`, `; name=token` or `; name="token"`, if a semicolon comes next.
fn next_parameter<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Parameter<'a>>, Malformed> {
    if !cursor.delimiter(b';') {
        return Ok(None);
    }
    let name = cursor.token().ok_or(Malformed)?;
    // RFC 6455 takes its ABNF from RFC 2616, which allows whitespace between any two words.
    let value = match cursor.delimiter(b'=') {
        true => Some(cursor.token_or_quoted().ok_or(Malformed)?),
        false => None,
    };
    Ok(Some(Parameter { name, value }))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    /// The extensions written out in one fixed form.
    fn parse(values: &[&str]) -> Result<Vec<String>, Malformed> {
        extensions(values.iter().map(|value| value.as_bytes()))
            .map(|extension| {
                let extension = extension?;
                let mut text = String::from(extension.name);
                for parameter in extension.parameters() {
                    text.push_str(&format!(";{}", parameter.name));
                    if let Some(value) = parameter.value {
                        text.push_str(&format!("={value}"));
                    }
                }
                Ok(text)
            })
            .collect()
    }

    #[test]
    fn well_formed_lists() {
        let cases: [(&[&str], &[&str]); 7] = [
            (&["foo"], &["foo"]),
            (&["foo,bar;baz=2"], &["foo", "bar;baz=2"]),
            (&["foo", "bar; baz=2"], &["foo", "bar;baz=2"]),
            (&[" ,foo ;\ta = \"b\\c\" ; d ,, foo ,"], &["foo;a=bc;d", "foo"]),
            (&["a;b=\"c\",d"], &["a;b=c", "d"]),
            (&["a;b;b"], &["a;b;b"]),
            (&["", " , "], &[]),
        ];
        for (values, expected) in cases {
            assert_eq!(parse(values).unwrap(), expected, "{values:?}");
        }
    }

    #[test]
    fn broken_lists() {
        let cases = [
            "foo;",
            "foo bar",
            ";a",
            "foo;=b",
            "foo;a=",
            "foo;a=\"",
            "foo;a=\"\"",
            "foo;a=\"b c\"",
            "foo;a=\"b,c\"",
            "foo;a=b c",
            "foo;a=\"b\"c",
            "foo/1",
            "foo;a=b=c",
            "\"foo\"",
            "a;;b",
        ];
        for case in cases {
            assert_eq!(parse(&[case]), Err(Malformed), "{case:?}");
            let once = core::iter::once(case.as_bytes());
            let errors = extensions(once).take(9).filter(Result::is_err).count();
            assert_eq!(errors, 1, "{case:?}");
            assert_eq!(parse(&["good", case]), Err(Malformed), "{case:?}");
            assert_eq!(parse(&[&format!("good, {case}")]), Err(Malformed), "{case:?}");
        }
    }
}
