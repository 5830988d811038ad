"""Drives the unmodified Azure OpenAI client through a running stillguard; see stand.py."""

import openai

from chat import drive
from stand import base


def client(tenant, key="sk-live-sdk-azure", **settings):
    return openai.AzureOpenAI(
        azure_endpoint=f"{base}/{tenant}", api_key=key, api_version="2026-01-01", **settings
    )


drive(client, "azure", throttled="429", unverified="403")
