//! Just enough JSON to read what the generators print. Strings are bytes: an escaped lone
//! surrogate `\udcXX` is the byte XX, as Python writes bytes that are not UTF-8.

use std::ops::Index;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Bytes(Vec<u8>),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

static NULL: Json = Json::Null;

impl Json {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Json::Bytes(b) => b,
            other => panic!("{other:?} is no string"),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub fn number(&self) -> i64 {
        match self {
            Json::Number(n) => *n as i64,
            other => panic!("{other:?} is no number"),
        }
    }

    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(l) => l,
            other => panic!("{other:?} is no list"),
        }
    }

    pub fn map(&self) -> &[(String, Json)] {
        match self {
            Json::Map(m) => m,
            other => panic!("{other:?} is no map"),
        }
    }

    pub fn is_null(&self) -> bool {
        *self == Json::Null
    }
}

impl Index<&str> for Json {
    type Output = Json;

    fn index(&self, key: &str) -> &Json {
        match self {
            Json::Map(m) => m.iter().find(|(k, _)| k == key).map_or(&NULL, |(_, v)| v),
            _ => &NULL,
        }
    }
}

pub fn parse(text: &[u8]) -> Json {
    let mut reader = Reader { text, at: 0 };
    reader.value()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> u8 {
        while self.text[self.at].is_ascii_whitespace() {
            self.at += 1;
        }
        self.text[self.at]
    }

    fn take(&mut self, c: u8) -> bool {
        let same = self.peek() == c;
        self.at += usize::from(same);
        same
    }

    fn word(&mut self, word: &str, value: Json) -> Json {
        assert!(self.text[self.at..].starts_with(word.as_bytes()));
        self.at += word.len();
        value
    }

    fn value(&mut self) -> Json {
        match self.peek() {
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'"' => Json::Bytes(self.string()),
            b'[' => {
                self.at += 1;
                let mut list = Vec::new();
                while !self.take(b']') {
                    list.push(self.value());
                    self.take(b',');
                }
                Json::List(list)
            }
            b'{' => {
                self.at += 1;
                let mut map = Vec::new();
                while !self.take(b'}') {
                    let key = String::from_utf8(self.string()).expect("a key in UTF-8");
                    assert!(self.take(b':'));
                    map.push((key, self.value()));
                    self.take(b',');
                }
                Json::Map(map)
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest
                    .iter()
                    .position(|c| b",]} \n".contains(c))
                    .unwrap_or(rest.len());
                self.at += end;
                let digits = std::str::from_utf8(&rest[..end]).expect("a number");
                Json::Number(digits.parse().expect("a number"))
            }
        }
    }

    fn string(&mut self) -> Vec<u8> {
        assert!(self.take(b'"'));
        let mut out = Vec::new();
        loop {
            let c = self.text[self.at];
            self.at += 1;
            match c {
                b'"' => return out,
                b'\\' => self.escape(&mut out),
                _ => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        let c = self.text[self.at];
        self.at += 1;
        match c {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'f' => out.push(0x0c),
            b'b' => out.push(0x08),
            b'u' => {
                let mut code = self.hex();
                if (0xdc80..=0xdcff).contains(&code) {
                    out.push((code & 0xff) as u8);
                    return;
                }
                if (0xd800..0xdc00).contains(&code) {
                    self.at += 2; // the `\u` of the second half
                    code = 0x10000 + ((code - 0xd800) << 10) + (self.hex() - 0xdc00);
                }
                let c = char::from_u32(code).expect("a character");
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }

    fn hex(&mut self) -> u32 {
        let digits = std::str::from_utf8(&self.text[self.at..self.at + 4]).expect("hex digits");
        self.at += 4;
        u32::from_str_radix(digits, 16).expect("hex digits")
    }
}
