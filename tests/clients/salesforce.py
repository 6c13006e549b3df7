"""Reads all deals with simple-salesforce and prints what each is, in Salesforce's texts: the fake's model must agree.

usage: python salesforce.py ENDPOINT CLIENT_ID CLIENT_SECRET USERNAME KEY_FILE FIELD...
"""

import csv
import io
import json
import sys
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest

endpoint, client_id, client_secret, username, key_file, *fields = sys.argv[1:]
fake = urlsplit(endpoint)


class ToTheFake(HTTPAdapter):
    """The client knows https and Salesforce's own hosts only."""

    def send(self, request, **options):
        asked = urlsplit(request.url)
        request.url = urlunsplit((fake.scheme, fake.netloc, asked.path, asked.query, ""))
        return super().send(request, **{**options, "verify": False, "cert": None})


def connected(**credentials):
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", ToTheFake())
    return Salesforce(session=session, version="66.0", parse_float=str, consumer_key=client_id, **credentials)


def flat(record):
    """A record's fields by the names of the query."""
    def value(path):
        found = record
        for part in path.split("."):
            found = None if found is None else found[part]
        return found
    return {path: value(path) for path in fields}


def typed(row):
    """A line of CSV: what is empty is null, and nothing else says what is what."""
    others = {"": None, "true": True, "false": False}
    return {path: others.get(text, text) for path, text in row.items()}


def texts(rows):
    """Rows by id, where a text is a text in both ways of reading: instants end alike."""
    def text(value):
        return value.replace(".000Z", ".000+0000") if isinstance(value, str) else value
    return {row["Id"]: {path: text(value) for path, value in row.items()} for row in rows}


soql = f"SELECT {', '.join(fields)} FROM Opportunity"
crm = connected(consumer_secret=client_secret, domain="acme.my")
deals = [flat(record) for record in crm.query_all(f"{soql} ORDER BY Id")["records"]]
everything = crm.query_all("SELECT Id FROM Opportunity", include_deleted=True,
                           headers={"Sforce-Query-Options": "batchSize=200"})["records"]
pages = list(crm.bulk2.Opportunity.query(soql, max_records=200, wait=0))
bulk = [typed(row) for page in pages for row in csv.DictReader(io.StringIO(page, newline=""))]
stages = crm.query("SELECT ApiName, MasterLabel FROM OpportunityStage")["records"]
with open(key_file) as key:
    signed = connected(username=username, privatekey=key.read(), domain="login")
try:
    crm.query("SELECT Id, Secret__c FROM Opportunity")
    hidden = None
except SalesforceMalformedRequest as refused:
    hidden = refused.content[0]["errorCode"]

print(json.dumps({
    "deals": deals,
    "everything": len(everything),
    "bulkPages": len(pages),
    "bulkAgrees": texts(bulk) == texts(deals),
    "stages": {stage["ApiName"]: stage["MasterLabel"] for stage in stages},
    "signedIn": signed.query("SELECT COUNT() FROM Opportunity")["totalSize"],
    "described": [field["name"] for field in crm.Opportunity.describe()["fields"]],
    "hidden": hidden,
    "remaining": crm.limits()["DailyApiRequests"]["Remaining"],
}))
