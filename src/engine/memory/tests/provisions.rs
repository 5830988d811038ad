use super::*;

#[test]
fn what_operators_tell_of_accounts_is_read_back_and_what_they_take_back_is_not() {
    let engine = engine(ENFORCE);
    engine.watch();
    let tell = |account, verified| {
        let attributes = crate::identity::Attributes { verified, ..Default::default() };
        let provision = crate::identity::Provision { attributes, org: None };
        let told = serde_json::json!({"tell": {"account": account, "provision": provision}});
        let order = serde_json::json!({"verb": told, "owner": "ann", "reason": "case 7"});
        let order: Order = serde_json::from_value(order).unwrap();
        engine.obey(&order, START).unwrap();
    };
    let [kept, gone] = [[1; 16], [2; 16]].map(AccountId);
    tell(kept, Some(false));
    tell(gone, Some(true));
    let mut written = Written::default();
    written.changes(&engine, THEN);
    tell(gone, None);
    written.changes(&engine, THEN);
    for written in [written, Written::everything(&engine, THEN)] {
        let again = written.recalled(ENFORCE, AT_ONCE);
        assert_eq!(again.provision(kept), engine.provision(kept));
        assert!(again.provision(kept).is_some() && again.provision(gone).is_none());
    }
}
