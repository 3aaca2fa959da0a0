/*
 * The roles of `leat dev`. Files with secrets are 0600, and are replaced by a rename, so that no reader finds half of one: as a
 * kubelet does it with the tokens of a pod.
 */
#include "worker/dev_roles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"

#define CHAINED_ARN "arn:aws:iam::123456789012:role/leat-dev-chained"
#define EXTERNAL_ID "leat-dev"
#define SESSION "leat-dev"

#define WEB_TOKEN "web-identity-token"
#define CONTAINER_TOKEN "container-token"
#define PROCESS "credential-process.json"
#define CONFIG "aws-config"
#define NO_CONFIG "aws-none"
#define CREDENTIALS "aws-credentials"

int
leat_dev_roles_start(struct leat_dev *dev, struct leat_error *err)
{
    static const struct leat_local_role roles[] = {
        {.arn = LEAT_LOCAL_ROLE_ARN},
        {.arn = CHAINED_ARN, .external_id = EXTERNAL_ID},
    };
    struct leat_local_roles_options options = {.access_key_id = LEAT_DEV_KEY,
                                               .secret_access_key = LEAT_DEV_KEY,
                                               .roles = roles,
                                               .role_count = LEAT_COUNT_OF(roles),
                                               .lifetime_us = dev->role_lifetime_us};

    dev->roles = leat_local_roles_new(&options, err);
    return dev->roles != NULL ? 0 : err->code;
}

/* ---- files --------------------------------------------------------------------------------------- */

static bool
write_all(int fd, const struct leat_buf *text)
{
    for (size_t done = 0; done < text->size;) {
        ssize_t size = write(fd, text->data + done, text->size - done);

        if (size < 0)
            return false;
        done += (size_t)size;
    }
    return true;
}

static int
replace_file(const struct leat_dev *dev, const char *name, const struct leat_buf *text,
             struct leat_error *err)
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    LEAT_AUTO_BUF next = LEAT_BUF_INIT;
    int fd;
    bool is_written;

    leat_buf_printf(&path, "%s/%s", dev->directory, name);
    leat_buf_printf(&next, "%s/.%s.next", dev->directory, name);
    (void)unlink(leat_buf_text(&next)); /* of a run that was killed */
    fd = open(leat_buf_text(&next), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    is_written = fd >= 0 && write_all(fd, text);
    if (fd >= 0)
        is_written = close(fd) == 0 && is_written;
    if (!is_written || rename(leat_buf_text(&next), leat_buf_text(&path)) != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not write \"%s\": %s",
                              leat_buf_text(&path), strerror(errno));
    return 0;
}

static int
replace_token(struct leat_dev *dev, enum leat_local_roles_token kind, const char *name,
              struct leat_error *err)
{
    LEAT_AUTO_BUF token = LEAT_BUF_INIT;

    leat_local_roles_issue_token(dev->roles, kind, dev->role_lifetime_us, &token);
    return replace_file(dev, name, &token, err);
}

/* What a credential process prints. */
static int
replace_process(struct leat_dev *dev, struct leat_error *err)
{
    struct leat_credentials credentials;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF expiration = LEAT_BUF_INIT;
    struct leat_json json;
    int64_t expires_us;

    leat_local_roles_issue(dev->roles, "leat-process", &credentials, &expires_us);
    leat_format_time(&expiration, expires_us);
    leat_json_begin(&json, &text);
    leat_json_object(&json, NULL);
    leat_json_integer(&json, "Version", 1);
    leat_json_text(&json, "AccessKeyId", credentials.access_key_id);
    leat_json_text(&json, "SecretAccessKey", credentials.secret_access_key);
    leat_json_text(&json, "SessionToken", credentials.session_token);
    leat_json_text(&json, "Expiration", leat_buf_text(&expiration));
    leat_json_object_end(&json);
    leat_buf_add_byte(&text, '\n');
    leat_credentials_release(&credentials);
    return replace_file(dev, PROCESS, &text, err);
}

int
leat_dev_roles_rotate(struct leat_dev *dev, struct leat_error *err)
{
    int status = replace_token(dev, LEAT_LOCAL_TOKEN_WEB_IDENTITY, WEB_TOKEN, err);

    if (status == 0)
        status = replace_token(dev, LEAT_LOCAL_TOKEN_CONTAINER, CONTAINER_TOKEN, err);
    if (status == 0)
        status = replace_process(dev, err);
    return status;
}

static int
write_profiles(const struct leat_dev *dev, struct leat_error *err)
{
    LEAT_AUTO_BUF config = LEAT_BUF_INIT;
    LEAT_AUTO_BUF credentials = LEAT_BUF_INIT;
    LEAT_AUTO_BUF nothing = LEAT_BUF_INIT;
    int status;

    leat_buf_printf(&credentials,
                    "# Written by leat dev --with-roles.\n"
                    "[keys]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
                    LEAT_DEV_KEY, LEAT_DEV_KEY);
    leat_buf_printf(&config,
                    "# Written by leat dev --with-roles: pick one by AWS_PROFILE.\n"
                    "[profile keys]\nregion = us-east-1\n\n"
                    "[profile role]\nregion = us-east-1\nrole_arn = %s\nsource_profile = keys\n"
                    "role_session_name = %s\n\n"
                    "[profile chained]\nregion = us-east-1\nrole_arn = %s\nexternal_id = %s\n"
                    "source_profile = role\nrole_session_name = %s\n\n",
                    LEAT_LOCAL_ROLE_ARN, SESSION, CHAINED_ARN, EXTERNAL_ID, SESSION);
    leat_buf_printf(&config,
                    "[profile web-identity]\nregion = us-east-1\nrole_arn = %s\n"
                    "web_identity_token_file = %s/" WEB_TOKEN "\nrole_session_name = %s\n\n"
                    "[profile process]\nregion = us-east-1\n"
                    "credential_process = cat \"%s/" PROCESS "\"\n\n",
                    LEAT_LOCAL_ROLE_ARN, dev->directory, SESSION, dev->directory);
    leat_buf_printf(&config,
                    "[profile container]\nregion = us-east-1\nrole_arn = %s\nexternal_id = %s\n"
                    "credential_source = EcsContainer\nrole_session_name = %s\n\n"
                    "[profile instance]\nregion = us-east-1\nrole_arn = %s\nexternal_id = %s\n"
                    "credential_source = Ec2InstanceMetadata\nrole_session_name = %s\n",
                    CHAINED_ARN, EXTERNAL_ID, SESSION, CHAINED_ARN, EXTERNAL_ID, SESSION);
    status = replace_file(dev, CREDENTIALS, &credentials, err);
    if (status == 0)
        status = replace_file(dev, CONFIG, &config, err);
    if (status == 0)
        status = replace_file(dev, NO_CONFIG, &nothing, err);
    return status;
}

/* ---- an environment for each kind ---------------------------------------------------------------- */

enum kind { WEB_IDENTITY = 0, CONTAINER, INSTANCE, PROFILE, KINDS };

static const char *const kind_files[KINDS] = {"env-web-identity", "env-container", "env-instance",
                                              "env-profile"};
static const char *const kind_names[KINDS] = {"web identity", "container", "instance", "profile"};

static void add_variable(struct leat_buf *out, const char *name, const char *format, ...)
    LEAT_PRINTF(3, 4);
static void
add_variable(struct leat_buf *out, const char *name, const char *format, ...)
{
    va_list arguments;

    leat_buf_printf(out, "%s%s='", out->size > 0 ? " " : "", name);
    va_start(arguments, format);
    leat_buf_vprintf(out, format, arguments);
    va_end(arguments);
    leat_buf_add_byte(out, '\'');
}

static void
add_container(const struct leat_dev *dev, struct leat_buf *out)
{
    add_variable(out, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "%s%s",
                 leat_local_roles_endpoint(dev->roles), LEAT_LOCAL_CONTAINER_PATH);
    add_variable(out, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s/" CONTAINER_TOKEN,
                 dev->directory);
}

/* What makes a worker use this kind, as "NAME='value' …". */
static void
add_kind(const struct leat_dev *dev, enum kind kind, struct leat_buf *out)
{
    const char *endpoint = leat_local_roles_endpoint(dev->roles);

    switch (kind) {
    case WEB_IDENTITY:
        add_variable(out, "AWS_ROLE_ARN", "%s", LEAT_LOCAL_ROLE_ARN);
        add_variable(out, "AWS_WEB_IDENTITY_TOKEN_FILE", "%s/" WEB_TOKEN, dev->directory);
        add_variable(out, "AWS_ENDPOINT_URL_STS", "%s", endpoint);
        break;
    case CONTAINER:
        add_container(dev, out);
        break;
    case INSTANCE:
        add_variable(out, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "%s", endpoint);
        break;
    case PROFILE:
        add_variable(out, "AWS_CONFIG_FILE", "%s/" CONFIG, dev->directory);
        add_variable(out, "AWS_SHARED_CREDENTIALS_FILE", "%s/" CREDENTIALS, dev->directory);
        add_variable(out, "AWS_PROFILE", "%s", "role");
        add_variable(out, "AWS_ENDPOINT_URL_STS", "%s", endpoint);
        break;
    case KINDS:
        break;
    }
}

/* Nothing of another kind is left over, neither from the shell nor from this user's home. */
static void
add_rest(const struct leat_dev *dev, enum kind kind, struct leat_buf *out)
{
    if (kind == PROFILE) { /* for those of its profiles that have a credential_source */
        add_container(dev, out);
        add_variable(out, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "%s",
                     leat_local_roles_endpoint(dev->roles));
    } else {
        add_variable(out, "AWS_CONFIG_FILE", "%s/" NO_CONFIG, dev->directory);
        add_variable(out, "AWS_SHARED_CREDENTIALS_FILE", "%s/" NO_CONFIG, dev->directory);
    }
    if (kind != PROFILE && kind != INSTANCE)
        add_variable(out, "AWS_EC2_METADATA_DISABLED", "%s", "true");
}

static int
write_kind(const struct leat_dev *dev, enum kind kind, struct leat_error *err)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF variables = LEAT_BUF_INIT;

    add_kind(dev, kind, &variables);
    add_rest(dev, kind, &variables);
    leat_buf_printf(
        &text,
        "# Written by leat dev --with-roles: for a shell whose credentials come from: %s.\n"
        ". '%s'\n"
        "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN \\\n"
        "    AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_PROFILE AWS_DEFAULT_PROFILE \\\n"
        "    AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE \\\n"
        "    AWS_ROLE_SESSION_NAME AWS_CONTAINER_CREDENTIALS_RELATIVE_URI \\\n"
        "    AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN \\\n"
        "    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_EC2_METADATA_DISABLED \\\n"
        "    AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE\n"
        "export %s\n",
        kind_names[kind], dev->environment, leat_buf_text(&variables));
    return replace_file(dev, kind_files[kind], &text, err);
}

int
leat_dev_roles_write(struct leat_dev *dev, struct leat_error *err)
{
    int status = leat_dev_roles_rotate(dev, err);

    if (status == 0)
        status = write_profiles(dev, err);
    for (int kind = 0; status == 0 && kind < KINDS; kind++)
        status = write_kind(dev, (enum kind)kind, err);
    return status;
}

void
leat_dev_roles_say(const struct leat_dev *dev)
{
    LEAT_AUTO_BUF lifetime = LEAT_BUF_INIT;

    leat_format_duration(&lifetime, dev->role_lifetime_us);
    printf("With a role in place of keys, source one of these instead; credentials and tokens live "
           "%s:\n",
           leat_buf_text(&lifetime));
    for (int kind = 0; kind < KINDS; kind++) {
        LEAT_AUTO_BUF variables = LEAT_BUF_INIT;

        add_kind(dev, (enum kind)kind, &variables);
        printf("  . %s/%s\n    %s\n", dev->directory, kind_files[kind], leat_buf_text(&variables));
    }
    puts("Other profiles: keys, chained, web-identity, process, container, instance\n");
}
