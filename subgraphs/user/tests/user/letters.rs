//! Every letter as its reader gets it, in both languages: somebody's whole life in Berth, and what lies in the mailbox after each step.
//!
//! After a change of words: `INSTA_UPDATE=always cargo nextest run --workspace --test user letters`, then read the difference.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use berth_contracts::{
    Currency, Kind, Money,
    event::{Envelope, Event},
};
use berth_kernel::mail::Letter;
use berth_user::letters::previews;
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    admins::admin,
    authenticator::Device,
    privacy::neighbours,
    second_factor::App,
    world::{PASSWORD, Person, SIGN_IN, SIGN_UP, World},
};

const OWN: &str = "siti@example.com";
const NEW: &str = "siti.new@example.com";
const NEW_PASSWORD: &str = "a much newer password";

/// A life in one language.
struct Life {
    world: World,
    locale: &'static str,
    /// Address and subject of the letters that came, without what differs from run to run.
    came: BTreeSet<(String, String)>,
}

impl Life {
    async fn new(locale: &'static str) -> Self {
        let world = World::new().await;
        neighbours(&world);
        world.user.start();
        Self { world, locale, came: BTreeSet::new() }
    }

    /// A mutation without a selection.
    async fn does(&self, access: Option<&str>, mutation: &str, input: Value) -> Value {
        let name = mutation.split('(').next().unwrap_or_default();
        let query = format!("mutation {{ r: {mutation} {{ __typename {} ... on UserError {{ code path }} }} }}", selection(name));
        let query = query.replace("$input", &inline(&input));
        let done = self.world.data(access, &query, json!({})).await["r"].take();
        assert!(done["code"].is_null(), "{mutation}: {done}");
        done
    }

    async fn happens(&self, event: Event) {
        let envelope = Envelope { id: self.world.clock.new_key(), at: self.world.clock.now(), trace_parent: None, event };
        self.world.deps.bus.deliver(&Arc::new(envelope)).await.expect("delivers");
    }

    /// Compares the newest letter to an address, which must be new.
    async fn gets(&mut self, to: &str, name: &str) {
        let letter = self.newest(to, name).await;
        let subject = redacted(&letter.subject);
        assert!(self.came.insert((to.to_owned(), subject.clone())), "{name}: no new letter, but {subject}");
        let whole = format!("{subject}\n\n{}\n{}", redacted(&letter.text), redacted(&letter.html));
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(format!("letter_{name}_{}", self.locale), whole));
        // Limits and pauses between letters are not what this is about.
        self.world.clock.advance(TimeDelta::seconds(61));
    }

    /// Some are written beside the request.
    async fn newest(&self, to: &str, name: &str) -> Letter {
        for _ in 0..500 {
            let newest = self.world.letters(to).await.into_iter().next().map(|caught| caught.letter);
            if let Some(letter) = newest.filter(|letter| !self.came.contains(&(to.to_owned(), redacted(&letter.subject)))) {
                return letter;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name}: no letter came");
    }

    async fn session(&self, password: &str) -> Person {
        Person::of(&self.world.sign_in(OWN, password).await)
    }
}

fn selection(mutation: &str) -> &'static str {
    match mutation {
        "enrolTotp" => "... on EnrolTotpSuccess { secret }",
        "confirmTotp" => "... on ConfirmTotpSuccess { recoveryCodes }",
        "regenerateRecoveryCodes" => "... on RegenerateRecoveryCodesSuccess { recoveryCodes }",
        "signIn" => "... on SecondFactorRequired { challengeId }",
        "beginPasskeyRegistration" => "... on BeginPasskeyRegistrationSuccess { options }",
        "finishPasskeyRegistration" => "... on FinishPasskeyRegistrationSuccess { passkey { id } }",
        "requestEmailChange" => "... on RequestContactChangeSuccess { changeId }",
        _ => "",
    }
}

/// An input object as GraphQL text.
fn inline(input: &Value) -> String {
    let fields = input.as_object().expect("an object").iter().map(|(name, value)| format!("{name}: {value}"));
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

/// The text without codes, tokens and times.
fn redacted(text: &str) -> String {
    let (mut whole, mut word) = (String::new(), String::new());
    for sign in text.chars().chain(['\0']) {
        if sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | ':') {
            word.push(sign);
            continue;
        }
        let known = whole.ends_with('#');
        whole.push_str(match shape(&word).as_str() {
            _ if whole.ends_with("#token=") => "[token]",
            "000000" if !known => "[code]",
            "0000-00-00" => "[date]",
            "00:00" => "[time]",
            _ => &word,
        });
        word.clear();
        whole.extend((sign != '\0').then_some(sign));
    }
    whole
}

fn shape(word: &str) -> String {
    word.chars().map(|sign| if sign.is_ascii_digit() { '0' } else { sign }).collect()
}

async fn a_life(locale: &'static str) {
    let mut life = Life::new(locale).await;
    let siti = signs_up(&mut life).await;
    changes_the_password(&mut life, &siti).await;
    guards_the_account(&mut life).await;
    travels(&mut life).await;
    moves(&mut life).await;
    let all = previews().expect("written").into_iter().filter(|preview| preview.locale.word() == locale);
    let came: BTreeSet<&str> = life.came.iter().map(|(_, subject)| subject.as_str()).collect();
    let missing = all.filter(|preview| !came.contains(redacted(&preview.letter.subject).as_str()));
    let missing: Vec<String> = missing.map(|preview| preview.name).collect();
    assert!(missing.is_empty(), "a letter that nobody got here: {missing:?}");
}

async fn signs_up(life: &mut Life) -> Person {
    let input = json!({ "email": OWN, "password": PASSWORD });
    let headers = |email: &str| json!({ "input": { "email": email, "password": PASSWORD } });
    let answer = life.world.respond_with("accept-language", life.locale, SIGN_UP, headers(OWN)).await;
    let code = life.world.code(OWN).await;
    let flow = answer["data"]["r"]["flowId"].as_str().expect("a flow").to_owned();
    life.gets(OWN, "sign_up_code").await;
    let siti = Person::of(&life.world.verify(&flow, &code).await);
    life.world.respond_with("accept-language", life.locale, SIGN_UP, json!({ "input": input })).await;
    life.gets(OWN, "sign_up_known").await;
    let input = json!({ "email": OWN, "password": PASSWORD, "device": "Siti's phone" });
    Person::of(&life.world.result(None, SIGN_IN, input).await);
    life.gets(OWN, "signed_in").await;
    siti
}

async fn changes_the_password(life: &mut Life, siti: &Person) {
    let words = json!({ "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD });
    life.does(Some(&siti.access), "changePassword(input: $input)", words).await;
    life.gets(OWN, "password_changed").await;
    life.does(None, "requestPasswordReset(input: $input)", json!({ "email": OWN })).await;
    life.gets(OWN, "password_link").await;
    let stolen = life.session(NEW_PASSWORD).await;
    let next = Person::of(&life.world.refresh(&stolen.refresh).await);
    Person::of(&life.world.refresh(&next.refresh).await);
    assert_eq!(life.world.refresh(&stolen.refresh).await["code"], "SESSION_REVOKED");
    life.gets(OWN, "session_ended").await;
}

async fn guards_the_account(life: &mut Life) {
    let siti = life.session(NEW_PASSWORD).await;
    let access = Some(siti.access.as_str());
    let proof = || json!({ "currentPassword": NEW_PASSWORD });
    let enrolled = life.does(access, "enrolTotp(input: $input)", proof()).await;
    let app = App::with(enrolled["secret"].as_str().expect("a secret"));
    life.does(access, "confirmTotp(input: $input)", json!({ "code": app.shows(&life.world, 0) })).await;
    life.gets(OWN, "second_factor_on").await;
    let code = json!({ "code": app.shows(&life.world, 0) });
    let renewed = life.does(access, "regenerateRecoveryCodes(input: $input)", code).await;
    life.gets(OWN, "recovery_codes_renewed").await;
    let asked = life.does(None, "signIn(input: $input)", json!({ "email": OWN, "password": NEW_PASSWORD })).await;
    let code = json!({ "challengeId": asked["challengeId"], "code": renewed["recoveryCodes"][0] });
    life.does(None, "completeSignIn(input: $input)", code).await;
    life.gets(OWN, "recovery_code_used").await;
    life.does(access, "disableTotp(input: $input)", json!({ "password": NEW_PASSWORD })).await;
    life.gets(OWN, "second_factor_off").await;

    let mut device = Device::ed25519();
    let asked = life.does(access, "beginPasskeyRegistration(input: $input)", proof()).await;
    let credential = device.create(asked["options"].as_str().expect("options"));
    let kept = life.does(access, "finishPasskeyRegistration(input: $input)", json!({ "credential": credential })).await;
    life.gets(OWN, "passkey_added").await;
    let input = json!({ "passkeyId": kept["passkey"]["id"], "currentPassword": NEW_PASSWORD });
    let siti = life.session(NEW_PASSWORD).await;
    let access = Some(siti.access.as_str());
    life.does(access, "removePasskey(input: $input)", input).await;
    life.gets(OWN, "passkey_removed").await;
    let bank = json!({ "bankCode": "014", "holderName": "Siti Nurhaliza", "number": "700123456789" });
    life.does(access, "addBankAccount(input: $input)", bank).await;
    life.gets(OWN, "bank_account_added").await;
    life.does(access, "exportPersonalData(input: $input)", json!({ "password": NEW_PASSWORD })).await;
    life.gets(OWN, "data_exported").await;
}

async fn travels(life: &mut Life) {
    let siti = life.session(NEW_PASSWORD).await;
    let user_id = Kind::User.decode(&siti.id).expect("an id");
    let (booking_id, code) = (Uuid::from_u128(1), Some("BK7QK9".to_owned()));
    life.happens(Event::BookingChanged { booking_id, user_id, status: "EXPIRED".to_owned(), code: code.clone() }).await;
    life.gets(OWN, "booking_expired").await;
    for (status, name) in [("FAILED", "payment_failed"), ("PARTIALLY_REFUNDED", "payment_partly_refunded")] {
        let (payment_id, amount) = (life.world.clock.new_key(), Money::new(18_500_000, Currency::IDR));
        let (status, booking_code) = (status.to_owned(), code.clone());
        life.happens(Event::PaymentChanged { payment_id, booking_id, user_id, status, amount, booking_code }).await;
        life.gets(OWN, name).await;
    }
}

/// To another address, after one that somebody has; and away.
async fn moves(life: &mut Life) {
    let chief = admin(&life.world, "chief@example.com").await;
    let siti = life.session(NEW_PASSWORD).await;
    let access = Some(siti.access.as_str());
    let wish = |new: &str| json!({ "password": NEW_PASSWORD, "newEmail": new });
    life.does(access, "requestEmailChange(input: $input)", wish("chief@example.com")).await;
    life.gets("chief@example.com", "address_taken").await;
    let asked = life.does(access, "requestEmailChange(input: $input)", wish(NEW)).await;
    let (new, old) = (life.world.code(NEW).await, life.world.code(OWN).await);
    life.gets(OWN, "address_code_to_the_old").await;
    life.gets(NEW, "address_code_to_the_new").await;
    let codes = json!({ "changeId": asked["changeId"], "newCode": new, "oldCode": old });
    life.does(access, "confirmContactChange(input: $input)", codes).await;
    life.gets(OWN, "address_changed").await;

    let invite =
        "mutation($input: CreateAccountInput!) { r: createAccount(input: $input) { __typename ... on UserError { code } } }";
    let input = json!({ "input": { "email": "invited@example.com" } });
    let headers = [("accept-language", life.locale.to_owned()), ("authorization", format!("Bearer {}", chief.access))];
    let answer = life.world.respond_with_all(&headers, invite, input).await;
    assert_eq!(answer["data"]["r"]["__typename"], "CreateAccountSuccess", "{answer}");
    life.gets("invited@example.com", "account_made").await;

    life.does(access, "deleteAccount(input: $input)", json!({ "password": NEW_PASSWORD })).await;
    life.gets(NEW, "account_deleted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_english() {
    a_life("en").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_indonesian() {
    a_life("id").await;
}
