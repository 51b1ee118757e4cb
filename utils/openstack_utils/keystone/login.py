# SPDX-License-Identifier: MIT
"""Logging in to Keystone: which login, waiting for it to come up, SERVICE_TOKEN, bootstrap.

In this order: --os-cloud or OS_CLOUD; the OS_* variables; SERVICE_TOKEN; the sample data's own admin
at --auth-url, SERVICE_ENDPOINT or localhost. Where admin is refused on Keystone's own host, admin_token
of KEYSTONE_CONF is tried, and keystone-manage bootstrap if no account was ever made.
"""

import os
from urllib.parse import quote, urlsplit

from ..errors import UsageError, UtilityError
from ..host.addresses import is_local
from ..services import load_services
from . import credentials
from .bootstrap import DEFAULT_CONF, Bootstrap
from .client import KeystoneClient, RemoteError, Transport, wait_for


class Session:
    """A KeystoneClient with a token, and who we are to it.

    `is_empty`: nobody can log in, as nothing is there yet (--dry-run only).
    `wrong_passwords`: users (name -> False) whose password has to be replaced in this run.
    """

    def __init__(
        self,
        identity,
        domain,
        *,
        user_id=None,
        by_service_token=False,
        is_empty=False,
        wrong_passwords=None,
        done=None,
    ):
        self.identity = identity
        self.domain = domain
        self.user_id = user_id
        self.by_service_token = by_service_token
        self.is_empty = is_empty
        self.wrong_passwords = wrong_passwords or {}
        self._done = done

    def as_owner(self, user, user_id, project_id=None):
        """Return the KeystoneClient that may read the EC2 credentials of a User, and make some for a project.

        That is ours. But to SERVICE_TOKEN Keystone shows no credentials (30.0 answers HTTP 500), so the
        user himself has to log in. Raises RemoteError.
        """
        if not self.by_service_token:
            return self.identity
        try:
            return _log_in_as(self.identity, user_id, user.password, project_id)
        except RemoteError as error:
            if error.status == 401:
                error.message = (
                    "SERVICE_TOKEN cannot read EC2 credentials, and the login of %s with %s is refused"
                    % (user.name, user.variable)
                )
                error.hint = "set %s to the password of %s" % (user.variable, user.name)
            raise

    def done(self):
        """Everything is applied, admin's password too."""
        if self._done is not None:
            self._done()


class Login:
    """Finds the credentials at once, and logs in later, when all else is checked.

    `is_bootstrapped`: this run has made the user admin.
    """

    def __init__(self, options, environment, passwords, console):
        self.options = options
        self.environment = environment
        self.passwords = passwords
        self.console = console
        self._catalogue = None
        self.service_token = ""
        self.is_bootstrapped = False
        self.credentials = self._find_credentials()
        if options.insecure or self.credentials.insecure:
            console.warn("the certificate of Keystone is not checked")
        self.identity = KeystoneClient(self._transport())
        self.identity.pauses = [0.5, 1.0, 2.0]

    @property
    def catalogue(self):
        """services.json."""
        if self._catalogue is None:
            self._catalogue = load_services()
        return self._catalogue

    @property
    def conf(self):
        return self.options.keystone_conf or DEFAULT_CONF

    def log_in(self, urls, region):
        """Log in; return the Session. `urls` and `region` are for bootstrap.

        Raises RemoteError, UtilityError.
        """
        options = self.options
        domain = options.domain or "default"
        if self.service_token:
            wait_for(self._try_service_token, options.wait, self.console.note)
            if domain in self._domains():
                return Session(self.identity, domain, by_service_token=True)
            message = "%s: there is no domain %s" % (self.identity.url, domain)
            hint = "without SERVICE_TOKEN, on Keystone's own host, keystone-manage bootstrap makes it"
            missing = RemoteError(message, hint=hint, status=404)
            if domain != "default":
                raise missing
            self.service_token = ""
            return self._log_in_otherwise(missing, urls, region, domain)
        try:
            user_id = wait_for(lambda: self._log_in(self.credentials), options.wait, self.console.note)
        except RemoteError as error:
            if error.status != 401 or self.credentials.user != "admin":
                raise self._explained(error) from None
            return self._log_in_otherwise(error, urls, region, domain)
        return self._session_of(user_id, domain)

    def _session_of(self, user_id, domain):
        self._check_domain(domain)
        return Session(self.identity, domain, user_id=user_id)

    def _check_domain(self, domain):
        """Raise RemoteError for a domain that is not there; who may not look at domains goes on."""
        if domain == "default":
            return
        try:
            self.identity.get("/domains/" + quote(domain, safe=""))
        except RemoteError as error:
            if error.status != 404:
                return
            message = "%s: there is no domain with the id %s" % (self.identity.url, domain)
            raise RemoteError(message, hint="--domain takes an id", status=404) from None

    def _find_credentials(self):
        options, environment = self.options, self.environment
        if options.os_cloud:
            login = credentials.from_cloud(options.os_cloud, environment)
        else:
            login = credentials.from_environment(environment)
        if login is not None:
            if options.auth_url:
                login = login._replace(url=credentials.normalise_url(options.auth_url, "--auth-url"))
            return login
        token = self.passwords.lookup("SERVICE_TOKEN")
        if token:
            self.service_token = token
        url, source = "http://localhost:%d/v3" % (options.port or 5000), "the default"
        for value, name in (
            (options.auth_url, "--auth-url"),
            (environment.get("SERVICE_ENDPOINT"), "SERVICE_ENDPOINT"),
            (environment.get("OS_AUTH_URL"), "OS_AUTH_URL"),
        ):
            if value:
                url, source = value, name
                break
        auth = {"username": "admin", "project_name": "admin", "password": ""}
        cacert, region = environment.get("OS_CACERT", ""), environment.get("OS_REGION_NAME", "")
        url = credentials.normalise_url(url, source)
        return credentials.Credentials(url, auth, "ADMIN_PASSWORD", region, cacert)

    def _transport(self):
        options, login = self.options, self.credentials
        return Transport(
            login.url,
            cacert=options.cacert or login.cacert or None,
            insecure=bool(options.insecure or login.insecure),
            cert=options.cert or login.cert or None,
            key=options.key or login.key or None,
            timeout=options.timeout,
        )

    def _log_in(self, login):
        """Log in; set the token, and how to renew it; return the user's id."""
        if not login.auth.get("password") and login.source == "ADMIN_PASSWORD":
            password, _ = self.passwords(["ADMIN_PASSWORD"])
            login = login._replace(auth=dict(login.auth, password=password))
        identity = self.identity
        headers, answer = identity.send("POST", "/auth/tokens", credentials.login_body(login))
        token = headers.get("X-Subject-Token")
        if not token or not isinstance(answer, dict) or "token" not in answer:
            message = "POST %s/auth/tokens: the answer is not a token" % identity.url
            raise RemoteError(message, hint="is that Keystone's address?")
        identity.token = token
        identity.renew = lambda: self._log_in(login)
        return (answer["token"].get("user") or {}).get("id")

    def _domains(self):
        return {each["id"] for each in self.identity.get("/domains")["domains"]}

    def _try_service_token(self):
        self.identity.token = self.service_token
        try:
            self.identity.get("/services")
        except RemoteError as error:
            if error.status in (401, 403):
                error.hint = (
                    "this Keystone does not take SERVICE_TOKEN: is it admin_token of its keystone.conf?"
                    " Log in with OS_* or ADMIN_PASSWORD instead"
                )
            raise

    def _log_in_otherwise(self, refused, urls, region, domain):
        """Get in where admin is refused: only on Keystone's own host, and only without harm."""
        bootstrap = Bootstrap(self.conf, self.options.output, self._keystone_user())
        choice = self.options.bootstrap or "auto"
        is_here = bootstrap.is_possible and is_local(urlsplit(self.credentials.url).hostname)
        if is_here and not self.options.dry_run and bootstrap.wait_for_others(self.console.note):
            try:
                return self._session_of(self._log_in(self.credentials), domain)
            except RemoteError as error:
                if error.status != 401:
                    raise
        note = bootstrap.read_note(self.credentials.url)
        if note:
            session = self._log_in_as_noted(bootstrap, note, domain)
            if session:
                return session
        if choice == "never" or not is_here:
            raise self._explained(refused, bootstrap)
        # An account that an interrupted bootstrap of ours left belongs to nobody.
        is_cut_short = note is not None and not note.is_over
        if choice == "auto" and not is_cut_short and bootstrap.has_accounts():
            if self._try_admin_token():
                return Session(self.identity, domain, by_service_token=True)
            raise self._explained(refused, bootstrap)
        if self.options.dry_run:
            self.console.note("keystone-manage bootstrap would be run first: nothing is there yet")
            return Session(self.identity, domain, is_empty=choice == "auto")
        self.console.note("running    keystone-manage bootstrap")
        return self._log_in_bootstrapped(bootstrap, bootstrap.run(urls, region, self.credentials.url), domain)

    def _log_in_as_noted(self, bootstrap, note, domain):
        """Log in by the password that a killed run left; None: it is not admin's (yet, or any more)."""
        try:
            session = self._log_in_bootstrapped(bootstrap, note.password, domain)
        except RemoteError as error:
            if error.status != 401:
                raise
            return None
        self.console.note("an earlier run was killed after its bootstrap; going on with it")
        return session

    def _log_in_bootstrapped(self, bootstrap, password, domain):
        auth = {"username": "admin", "project_name": "admin", "password": password}
        user_id = self._log_in(self.credentials._replace(auth=auth, source="bootstrap"))
        self.is_bootstrapped = True
        wrong = {"admin": False}
        return Session(self.identity, domain, user_id=user_id, wrong_passwords=wrong, done=bootstrap.forget)

    def _try_admin_token(self):
        """Try admin_token of keystone.conf, which somebody must have set; say whether it opens."""
        from .. import ini

        try:
            token = ini.read(self.conf).value("DEFAULT", "admin_token")
        except UtilityError:
            return False
        if not token:
            return False
        self.service_token = token
        try:
            self._try_service_token()
        except RemoteError:
            self.service_token = ""
            return False
        self.console.note("logged in with admin_token of %s" % self.conf)
        return True

    def _keystone_user(self):
        return self.catalogue["projects"]["keystone"]["user"]["name"]

    def _explained(self, error, bootstrap=None):
        """Return the error of a refused login with what can be done about it."""
        if error.status == 401:
            who = self.credentials.auth.get("username") or "the user"
            error.message = "%s refuses the login of %s with the password or token of %s (HTTP 401)" % (
                self.credentials.url,
                who,
                self.credentials.source,
            )
            if (
                bootstrap is not None
                and bootstrap.is_possible
                and is_local(urlsplit(self.credentials.url).hostname)
            ):
                error.hint = "--bootstrap=always sets a new password for admin"
            elif bootstrap is not None and self.credentials.source == "ADMIN_PASSWORD":
                error.hint = "set ADMIN_PASSWORD; if nothing is there yet, run this on Keystone's own host"
            else:
                error.hint = "correct %s" % self.credentials.source
        elif error.status in (300, 404, 405) and not error.hint:
            error.hint = "is that the address of a Keystone with the Identity API v3?"
        return error


def test_password(identity, user_id, password):
    """Say whether a user logs in with a password."""
    try:
        _log_in_as(identity, user_id, password)
    except RemoteError as error:
        if error.status == 401:
            return False
        raise
    return True


def _log_in_as(identity, user_id, password, project_id=None):
    """Return a KeystoneClient at the same Keystone with the token of another user."""
    theirs = KeystoneClient(identity.transport)
    body = credentials.user_body(user_id, password, project_id)
    theirs.token = theirs.send("POST", "/auth/tokens", body)[0].get("X-Subject-Token")
    return theirs


def check_conf(path):
    """Raise UsageError for a KEYSTONE_CONF that is not there."""
    if path and not os.path.exists(path):
        raise UsageError("%s: no such file" % path, hint="--keystone-conf, or the variable KEYSTONE_CONF")
