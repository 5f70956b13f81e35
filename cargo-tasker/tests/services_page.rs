//! The page of the catalog in a real browser, headless: search, kinds, anchors, addresses that can be sent, and the width of a phone.
#![cfg(feature = "services")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use support::checkout;

/// What the browser runs: it opens the page in a frame, does what a person does, and writes down what it then sees.
const SCRIPT: &str = r##"<!DOCTYPE html><iframe id="page" width="360" height="700"></iframe><pre id="seen"></pre><script>
const frame = document.getElementById("page");
const seen = {};
const open = hash => new Promise(done => {
  frame.onload = () => done(frame.contentDocument);
  frame.src = "/catalog.html?" + Math.random() + hash;
});
const shown = page => [...page.querySelectorAll("article:not([hidden])")]
  .filter(article => !article.closest("section[hidden]")).map(article => article.id);
const wait = () => new Promise(done => setTimeout(done, 50));
(async () => {
  let page = await open("");
  seen.all = shown(page).length;
  seen.count = page.getElementById("count").textContent;
  seen.overflow = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  seen.phone = page.documentElement.clientWidth;
  const search = page.getElementById("search");
  const type = text => { search.value = text; search.dispatchEvent(new Event("input")); };
  type("UNUSUALLY somebody");
  seen.searched = shown(page);
  seen.address = frame.contentWindow.location.hash;
  type("no such words anywhere");
  seen.nothing = [shown(page).length, page.getElementById("nothing").hidden];
  type("");
  [...page.querySelectorAll("#kinds button")].find(button => button.dataset.kind === "tasks").click();
  seen.tasks = shown(page);
  seen.pressed = page.querySelector('[aria-pressed="true"]').textContent;

  page = await open("#q=risk_flagged&kind=custom");
  seen.sent = shown(page);
  seen.field = page.getElementById("search").value;

  page = await open("#event-payment.risk_flagged");
  await wait();
  const place = id => Math.round(page.getElementById(id).getBoundingClientRect().top);
  seen.anchor = place("event-payment.risk_flagged");
  seen.target = page.querySelector(":target")?.id;
  // A link inside of the page, to what a filter hides, shows it again.
  [...page.querySelectorAll("#kinds button")].find(button => button.dataset.kind === "tasks").click();
  page.querySelector('#task-order_process a').click();
  frame.contentWindow.location.hash = "#step-charge";
  await wait();
  seen.unhidden = !page.getElementById("step-charge").hidden;
  seen.anchor_of_step = place("step-charge");
  const links = [...page.querySelectorAll('a[href^="#"]')];
  seen.dead_links = links.map(link => link.getAttribute("href").slice(1)).filter(id => !page.getElementById(id));
  seen.links = links.length;
  seen.foreign = page.querySelectorAll("[src], link[href]").length;
  seen.masked = page.querySelectorAll(".mark").length;
})().catch(error => { seen.error = String(error); })
    .finally(() => { document.getElementById("seen").textContent = JSON.stringify(seen); });
</script>"##;

/// Serves the page and the script. Answers with the address; ends with the test.
fn serve(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let Some(Ok(request)) = lines.next() else { continue };
            for line in lines {
                if line.is_ok_and(|line| line.is_empty()) {
                    break;
                }
            }
            let (status, body) = match request.split(' ').nth(1).unwrap_or("") {
                "/" => ("200 OK", SCRIPT),
                path if path.starts_with("/catalog.html") => ("200 OK", page.as_str()),
                _ => ("404 Not Found", ""),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    format!("http://{address}/")
}

/// Chromium with a profile of its own.
fn chromium(arguments: &[&str]) -> String {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chromium-{}", std::process::id()));
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("chromium: {error}: run scripts/test-services"));
    let _ = std::fs::remove_dir_all(profile);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn people_find_their_way() {
    let program = checkout().join("target/debug/examples/order_process");
    let page = support::tasker(&["catalog", program.to_str().unwrap(), "--format", "html"]).ok().out;
    let address = serve(page);
    let dom = chromium(&["--virtual-time-budget=20000", "--dump-dom", &address]);
    let text = dom.split("<pre id=\"seen\">").nth(1).and_then(|rest| rest.split("</pre>").next()).unwrap_or_default();
    let text = text.replace("&quot;", "\"").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&");
    let seen: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {dom}"));
    assert_eq!(seen["error"], Json::Null, "{seen:#}");

    let all = seen["all"].as_u64().unwrap();
    assert!(all > 50, "{seen:#}");
    assert_eq!(seen["count"], format!("{all} of {all}"));
    assert_eq!((&seen["phone"], &seen["overflow"]), (&360.into(), &0.into()), "the page is wider than a phone");
    assert!(seen["searched"].as_array().unwrap().iter().any(|id| id == "event-payment.risk_flagged"), "{seen:#}");
    assert!(seen["searched"].as_array().unwrap().len() < 10, "{seen:#}");
    assert_eq!(seen["address"], "#q=UNUSUALLY+somebody");
    assert_eq!(seen["nothing"], serde_json::json!([0, false]));
    assert_eq!((&seen["tasks"], &seen["pressed"]), (&serde_json::json!(["task-order_process"]), &"tasks".into()));
    assert_eq!(
        (&seen["sent"], &seen["field"]),
        (&serde_json::json!(["event-payment.risk_flagged"]), &"risk_flagged".into())
    );
    // The target stands below the header that sticks to the top, and in sight.
    for anchor in ["anchor", "anchor_of_step"] {
        let place = seen[anchor].as_i64().unwrap();
        assert!((60..600).contains(&place), "{anchor}: {seen:#}");
    }
    assert_eq!((&seen["target"], &seen["unhidden"]), (&"event-payment.risk_flagged".into(), &true.into()));
    assert_eq!(seen["dead_links"], serde_json::json!([]));
    assert!(seen["links"].as_u64().unwrap() > all);
    assert_eq!(seen["foreign"], 0, "the page asks for other files");
    assert!(seen["masked"].as_u64().unwrap() > 0);
}
